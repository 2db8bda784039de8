"""`python -m benchmarks.rest`: measure the REST API of the single-machine platform, endpoint by endpoint.

Starts `anc up` with a temporary data folder and calls it over persistent HTTP/1.1 connections: every
endpoint sequentially, reads at the maximum rate, and a mixture of reads at a steady rate. At the steady rate,
latency is measured from the time when a call was due (no coordinated omission). CPU time per call is
independent of other load on the machine.

Callers stay within the default rate limits, using as many users and loopback addresses as necessary.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import uvloop

from anc.settings import Settings
from benchmarks.http import Call, HttpClient, request
from benchmarks.processes import Server, environment, platform_running, write_to_docs
from functions.routes import REST
from local.auth.issuer import Issuer

CALLERS = 100
ADMINS = 10
SESSIONS_EACH = 10
CONNECTIONS = 16
REPEATS = 100
CALLS_FROM_ONE_ADDRESS = 10  # the limit of expensive calls is 20 per minute and address


def sound(seconds: float, channels: int) -> bytes:
    """Return noise at 16 kHz as a wav file."""
    file = BytesIO()
    samples = 0.1 * np.random.default_rng(1).standard_normal((int(16_000 * seconds), channels))
    soundfile.write(file, samples, 16_000, format="WAV")
    return file.getvalue()


class Scene(NamedTuple):
    """Test data on a platform: tokens of admins and callers, their sessions and headsets."""

    admins: list[str]
    tokens: list[str]
    sessions: list[tuple[str, str]]
    things: list[tuple[str, str]]
    second: bytes
    ten_seconds: bytes


async def populate(port: int, data: Path) -> Scene:
    """Create sessions and a headset for each caller."""
    issuer = Issuer(data, Settings())
    tokens = [issuer.issue(f"caller-{i}", "listener") for i in range(CALLERS)]
    connection = await HttpClient.open(port)
    sessions, things = [], []
    for i, token in enumerate(tokens):
        for _ in range(SESSIONS_EACH):
            opened = await connection.send(request("POST /api/sessions", token, {}))
            sessions.append((token, json.loads(opened)["session"]))
        device = {"thing": f"headset-{i}", "secondary": [0.0, 0.5, 0.2]}
        await connection.send(request("POST /api/devices", token, device))
        things.append((token, f"headset-{i}"))
    connection.close()
    admins = [issuer.issue(f"admin-{i}", "admin") for i in range(ADMINS)]
    return Scene(admins, tokens, sessions, things, sound(1, 1), sound(10, 2))


def reads(scene: Scene) -> dict[str, list[Call]]:
    """Return read calls of many callers by endpoint."""
    found: dict[str, list[Call]] = {
        "GET /health": [request("GET /health")],
        "GET /api/users/me": [request("GET /api/users/me", token) for token in scene.tokens],
        "GET /api/sessions": [request("GET /api/sessions", token) for token in scene.tokens],
        "GET /api/sessions/{id}": [],
        "GET /api/sessions/{id}/stats": [],
        "GET /api/devices/{id}": [],
        "GET /api/emergency/status": [request("GET /api/emergency/status", t) for t in scene.tokens],
    }
    for name, suffix in (("GET /api/sessions/{id}", ""), ("GET /api/sessions/{id}/stats", "/stats")):
        found[name] = [
            request(name, token, path=f"/api/sessions/{session}{suffix}") for token, session in scene.sessions
        ]
    name = "GET /api/devices/{id}"
    found[name] = [request(name, token, path=f"/api/devices/{thing}") for token, thing in scene.things]
    return found


def other_calls(scene: Scene, caller: int) -> list[list[Call]]:
    """Return sequences of all other repeatable calls of a caller."""
    token, thing = scene.things[caller % CALLERS]
    _, session = scene.sessions[caller % CALLERS * SESSIONS_EACH]
    admin = scene.admins[caller % ADMINS]
    headset, model = f"/api/devices/{thing}", "/api/device-models/quiet-one"
    path = {"secondary": [0.5, 0.2]}

    def of_headset(method: str, below: str, body: Any = None) -> Call:
        return request(f"{method} /api/devices/{{id}}/{below}", token, body, f"{headset}/{below}")

    return [
        [request("GET /metrics", admin)],
        [request("GET /openapi.json")],
        [request("GET /docs")],
        [request("GET /api/users", admin)],
        [request("GET /api/users/me/keys", token)],
        [request("GET /api/models", admin)],
        [request("GET /api/stats/summary", admin)],
        [request("GET /api/stats/performance", admin)],
        [request("GET /api/devices", token)],
        [request("GET /api/fleet", admin)],
        [request("GET /api/fleet/csv", token)],
        [request("GET /api/fleet/overview", admin)],
        [request("GET /api/audio/jobs", token)],
        [request("GET /api/emergency/events", token)],
        [request("PATCH /api/sessions/{id}", token, {"intensity": 0.5}, f"/api/sessions/{session}")],
        [of_headset("PATCH", "shadow", {"intensity": 0.5}), of_headset("GET", "shadow")],
        [of_headset("POST", "telemetry", {"battery": 0.5}), of_headset("GET", "telemetry")],
        [of_headset("PUT", "paths", path), of_headset("GET", "paths"), of_headset("POST", "paths", path)],
        [of_headset("GET", "history")],
        [
            request("PUT /api/device-models/{id}", admin, path, model),
            request("GET /api/device-models", token),
            request("GET /api/device-models/{id}", token, path=model),
            request(
                "POST /api/device-models/{id}/serials",
                admin,
                {"serials": ["quiet-one-1"]},
                f"{model}/serials",
            ),
            request("DELETE /api/device-models/{id}", admin, path=model),
        ],
        [request("POST /api/audio/classify", token, scene.second)],
        [request("POST /api/audio/analyze", token, scene.second)],
        [request("POST /api/audio/process", token, scene.ten_seconds)],
        [request("POST /api/emergency/detect", token, scene.second)],
    ]


async def send_once(port: int, call: Call) -> None:
    """Send a call without measuring it."""
    connection = await HttpClient.open(port)
    await connection.send(call)
    connection.close()


async def sequential(port: int, calls: Iterable[Call]) -> dict[str, list[float]]:
    """Return the seconds of sequential calls by endpoint, without the first of each."""
    connection = await HttpClient.open(port)
    taken: dict[str, list[float]] = {}
    for number, call in enumerate(calls, 1):
        if number % CALLS_FROM_ONE_ADDRESS == 0:
            connection.close()
            connection = await HttpClient.open(port)
        begun = time.perf_counter()
        await connection.send(call)
        taken.setdefault(call.name, []).append(time.perf_counter() - begun)
    connection.close()
    return {name: seconds[1:] for name, seconds in taken.items()}


class Saturated(NamedTuple):
    """Calls per second, and CPU microseconds of the server per call."""

    per_second: float
    cpu_us: float


class Lifecycle(NamedTuple):
    """A resource to create, change and delete; `then` are method, path suffix and body of the next calls."""

    at: str
    body: Any
    field: str
    then: list[tuple[str, str, Any]]
    found_at: str = ""


NEW_USER = {"username": "new-user", "password": "correct horse battery"}
LIFECYCLES = (
    Lifecycle("/api/sessions", {}, "session", [("DELETE", "", None)]),
    Lifecycle(
        "/api/devices",
        {"thing": "short-lived", "secondary": [0.5]},
        "thing",
        [("PATCH", "", {"name": "left ear"}), ("POST", "/credentials", None), ("DELETE", "", None)],
    ),
    Lifecycle("/api/users/me/keys", {"name": "robot"}, "id", [("DELETE", "", None)]),
    Lifecycle(
        "/api/users",
        NEW_USER,
        "user",
        [("GET", "", None), ("PATCH", "", {"role": "operator"}), ("DELETE", "", None)],
    ),
    Lifecycle(
        "/api/audio/uploads",
        {"size": 100},
        "job",
        [("GET", "", None), ("DELETE", "", None)],
        "/api/audio/jobs",
    ),
    # A multipart upload without parts: completing it is refused.
    Lifecycle("/api/audio/uploads", {"size": 10**8}, "job", [("POST", "", None)]),
)


async def live(port: int, tokens: Sequence[str], life: Lifecycle, times: int) -> dict[str, list[float]]:
    """Return the seconds by endpoint for repeated lifecycles of a resource."""
    connection = await HttpClient.open(port)
    taken: dict[str, list[float]] = {}

    async def timed(call: Call) -> bytes:
        begun = time.perf_counter()
        body = await connection.send(call, (200, 201, 204, 409))
        taken.setdefault(call.name, []).append(time.perf_counter() - begun)
        return body

    for _, token in zip(range(times), cycle(tokens), strict=False):
        made = json.loads(await timed(request(f"POST {life.at}", token, life.body)))[life.field]
        place = life.found_at or life.at
        for method, below, body in life.then:
            name = f"{method} {place}/{{id}}{below}"
            await timed(request(name, token, body, f"{place}/{made}{below}"))
        if life.then[-1][0] != "DELETE":
            await connection.send(request("DELETE", token, path=f"/api/audio/jobs/{made}"))
    connection.close()
    return taken


async def saturated(server: Server, calls: list[Call], seconds: float) -> Saturated:
    """Send calls on all connections without pause."""
    endless, done = cycle(calls), 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        connection = await HttpClient.open(server.port)
        while time.perf_counter() < end:
            await connection.send(next(endless))
            done += 1
        connection.close()

    begun, before = time.perf_counter(), server.cpu_s()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return Saturated(done / (time.perf_counter() - begun), 1e6 * (server.cpu_s() - before) / done)


async def steady(port: int, calls: list[Call], rate: float, seconds: float) -> list[float]:
    """Return the seconds from the due time of each call to its response."""
    idle: asyncio.Queue[HttpClient] = asyncio.Queue()
    for _ in range(4 * CONNECTIONS):
        idle.put_nowait(await HttpClient.open(port))
    taken: list[float] = []

    async def one(call: Call, due: float) -> None:
        connection = await idle.get()
        await connection.send(call)
        taken.append(time.perf_counter() - due)
        idle.put_nowait(connection)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for i, call in enumerate(islice(cycle(calls), int(rate * seconds))):
            due = begun + i / rate
            await asyncio.sleep(due - time.perf_counter())
            tasks.create_task(one(call, due))
    return taken


def quantiles_ms(taken: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    p50, p99 = np.percentile(taken, [50, 99])
    return 1e3 * float(p50), 1e3 * float(p99)


async def measure(server: Server, seconds: float, rate: float) -> dict[str, Any]:
    """Run all measurements."""
    port = server.port
    scene = await populate(port, server.data)
    often = reads(scene)
    results: dict[str, Any] = {"endpoints": {}, "saturated": {}}

    def note(taken: dict[str, list[float]]) -> None:
        for name, times in taken.items():
            results["endpoints"].setdefault(name, quantiles_ms(times))

    for calls in often.values():
        note(await sequential(port, islice(cycle(calls), 3 * REPEATS)))
    for turns in zip(*(other_calls(scene, caller) for caller in range(REPEATS)), strict=True):
        note(await sequential(port, chain.from_iterable(turns)))
    for life in LIFECYCLES:
        tokens = scene.admins if life.at == "/api/users" else scene.tokens
        note(await live(port, tokens, life, REPEATS))
    await send_once(port, request("POST /api/users", scene.admins[0], NEW_USER))
    note(await sequential(port, [request("POST /api/auth/token", "", NEW_USER)] * REPEATS))
    if left_out := {f"{route.method} {route.path}" for route in REST} - set(results["endpoints"]):
        raise RuntimeError(f"not measured: {', '.join(sorted(left_out))}")
    for name, calls in often.items():
        results["saturated"][name] = await saturated(server, calls, seconds)
    turns = [cycle(calls) for calls in often.values()]
    mixed = [next(turn) for _ in range(200) for turn in turns]
    results["mixed"] = await saturated(server, mixed, seconds)
    results["steady"] = {"rate": rate, "ms": quantiles_ms(await steady(port, mixed, rate, 3 * seconds))}
    return results


def table(results: dict[str, Any]) -> str:
    """Return all results as text."""
    lines = [results["environment"], "", f"{'sequential calls':42}{'p50 ms':>9}{'p99 ms':>9}"]
    by_path = sorted(results["endpoints"].items(), key=lambda found: found[0].split()[::-1])
    lines += [f"{name:42}{p50:9.2f}{p99:9.2f}" for name, (p50, p99) in by_path]
    lines += ["", f"{f'maximum rate, {CONNECTIONS} connections':42}{'calls/s':>9}{'cpu us':>9}"]
    for name, found in [*results["saturated"].items(), ("all of these", results["mixed"])]:
        lines.append(f"{name:42}{found.per_second:9.0f}{found.cpu_us:9.0f}")
    (p50, p99), rate = results["steady"]["ms"], results["steady"]["rate"]
    return "\n".join([*lines, "", f"{f'all of these, {rate:g} calls/s':42}{p50:9.2f}{p99:9.2f}"])


def targets_table(results: dict[str, Any]) -> str:
    """Return targets and measurements as a Markdown table."""
    mixed, steady = results["mixed"], results["steady"]
    return "\n".join(
        [
            "| target | measured |",
            "|---|---|",
            f"| reads over 1,200 a second on two cores | {mixed.per_second:,.0f} a second of seven reads in"
            f" turn, {mixed.cpu_us:.0f} us of a core each |",
            f"| p99 under 25 ms at {steady['rate']:g} requests a second | {steady['ms'][1]:.1f} ms, from when"
            " a request was due |",
        ]
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rest", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="Duration at the maximum rate, for each endpoint."
    )
    parser.add_argument("--rate", type=float, default=500.0, help="Calls per second at the steady rate.")
    parser.add_argument("--json", type=Path, help="Write the results to this file.")
    parser.add_argument("--docs", action="store_true", help="Write the results into docs/performance.md.")
    chosen = parser.parse_args()
    where = environment()
    with platform_running() as server:
        results = uvloop.run(measure(server, chosen.seconds, chosen.rate))
    results["environment"] = where
    print(table(results))
    if chosen.docs:
        write_to_docs("rest", f"{targets_table(results)}\n\n```\n{table(results)}\n```")
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
