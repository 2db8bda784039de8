"""REST calls of many callers at a steady rate; latency counts from when a call was due."""

import asyncio
import time
from collections import Counter
from itertools import chain, cycle
from typing import Any

import uvloop

from benchmarks.http import Call, HttpClient, request
from benchmarks.load.plan import Gate, Plan, Window, by_minute_ms, measure_lag, quantiles_ms, sleep_until
from benchmarks.processes import Server
from benchmarks.rest import CONNECTIONS, SESSIONS_EACH, Scene, populate, reads
from local.process import open_as_many_files_as_allowed

IDLE_S = 2.0  # after which a client opens another connection: the platform closes idle ones


def generate(server: Server, plan: Plan, gate: Gate) -> dict[str, Any]:
    """Call the API and return latencies and unexpected answers."""
    open_as_many_files_as_allowed()
    return uvloop.run(_call_all(server, plan, gate))


def mixture(scene: Scene) -> list[Call]:
    """Return seven reads of many callers in turn, and after each seven a change of a session."""
    turns = [cycle(calls) for calls in reads(scene).values()]
    changes = [
        request("PATCH /api/sessions/{id}", token, {"intensity": 0.5}, f"/api/sessions/{session}")
        for token, session in scene.sessions[::SESSIONS_EACH]
    ]
    return list(chain.from_iterable([*(next(turn) for turn in turns), change] for change in changes))


async def _call_all(server: Server, plan: Plan, gate: Gate) -> dict[str, Any]:
    calls = cycle(mixture(await populate(server.port, server.data)))
    idle: asyncio.LifoQueue[tuple[HttpClient, float]] = asyncio.LifoQueue()
    for _ in range(4 * CONNECTIONS):
        idle.put_nowait((await HttpClient.open(server.port), time.monotonic()))
    window = await asyncio.to_thread(gate.window)
    taken: list[tuple[float, float]] = []
    failed: Counter[str] = Counter()

    async def one(call: Call, due: float) -> None:
        connection, used = await idle.get()
        try:
            if time.monotonic() > used + IDLE_S:
                connection.close()
                connection = await HttpClient.open(server.port)
            await connection.send(call)
        except (RuntimeError, OSError, asyncio.IncompleteReadError) as fault:
            failed[f"{type(fault).__name__}: {fault}"[:120]] += 1
            connection.close()
            connection = await HttpClient.open(server.port)
        idle.put_nowait((connection, time.monotonic()))
        if due >= window.since:
            taken.append((due, time.monotonic() - due))

    lag = asyncio.create_task(measure_lag(window, gate))
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(plan.calls_per_s * (window.until - window.first))):
            due = window.first + number / plan.calls_per_s
            await sleep_until(due)
            tasks.create_task(one(next(calls), due))
    late = await lag
    while not idle.empty():
        idle.get_nowait()[0].close()
    return _result(plan, window, taken, failed) | {"late_ms": quantiles_ms(late), "cores": gate.cores(window)}


def _result(
    plan: Plan, window: Window, taken: list[tuple[float, float]], failed: Counter[str]
) -> dict[str, Any]:
    return {
        "per_second": plan.calls_per_s,
        "failed": dict(failed),
        "latency_ms": quantiles_ms([seconds for _, seconds in taken]),
        "p99_by_minute_ms": by_minute_ms(taken, window),
    }
