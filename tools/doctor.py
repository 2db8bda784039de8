"""`anc doctor`: whether this machine can run the platform, or a platform that runs is well."""

import os
import platform
import shutil
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import httpx
import numpy as np
import soundfile
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from anc.audio.formats import FORMATS, SUPPORTED
from anc.dsp import design_control_filter
from anc.noise import Classifier
from anc.schemas.websocket import SUBPROTOCOL
from anc.settings import Settings
from local.data_folder import check_private, holds_platform

ABSENT = "start it with `anc up`, or is the address wrong?"
State = Literal["ok", "look", "failing"]

RATE = 16_000
DESIGN_MS = 60.0  # several times what a common core takes for a control filter
HEARING_MS = 12.0
LEAST_FREE_GB = 1.0
SKEW_S = 30.0
ANSWER_S = 30.0
CALLS = 5


class Finding(NamedTuple):
    """What was looked at, how it is, what was found, and what to do about it when it is not well."""

    what: str
    state: State
    found: str
    advice: str = ""


def examine_machine(data: Path, port: int, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Look at everything that the platform needs of this machine.

    Parameters
    ----------
    data : Path
        Folder in which the platform would keep everything; it is not created.
    port : int
        Of REST and WebSocket; MQTT is on the next one.
    environ : mapping
        Environment variables.
    """
    yield Finding("Python", "ok", _python())
    yield _tried("settings", lambda: _settings(environ), "correct it in the environment or in .env")
    yield _tried("sounds", _sounds, "install the requirements anew")
    yield _tried("hearing", _hearing, "headsets stay open to the world until the model loads")
    yield _tried("control filter", _design, "")
    if kernels := [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in environ]:
        yield Finding("algebra", "look", f"{', '.join(kernels)} set", "unset to measure: it slows numpy")
    yield _tried("folder", lambda: _folder(data), "choose another one with --data")
    for number, use in ((port, "REST and WebSocket"), (port + 1, "MQTT")):
        yield _tried(f"port {number}", lambda n=number, u=use: _port(n, u), "")  # type: ignore[misc]


def examine_deployment(url: str, token: str | None, sockets: str | None = None) -> Iterator[Finding]:
    """Look at a platform from outside, as its clients see it, and change nothing.

    Parameters
    ----------
    url : str
        Of the REST API.
    token : str, optional
        Without one, only what is public is looked at.
    sockets : str, optional
        URL of the WebSocket API; by default `/ws`, where the single-machine edition has it.
    """
    with httpx.Client(base_url=url, timeout=ANSWER_S) as client:
        try:
            health = client.get("/health")
        except httpx.HTTPError as fault:
            yield Finding(
                "reachable",
                "failing",
                str(fault) or type(fault).__name__,
                ABSENT,
            )
            return
        yield _encrypted(url)
        yield from _health(health)
        yield _clock(health)
        yield _latency(client)
        yield _description(client)
        if token:
            yield _token(client, token)
            yield _socket(sockets or url.replace("http", "ws", 1).rstrip("/") + "/ws", token)


def _tried(what: str, look: Callable[[], Finding | str], advice: str) -> Finding:
    try:
        found = look()
    except Exception as fault:  # noqa: BLE001  whatever is wrong is what was asked for
        return Finding(what, "failing", str(fault) or type(fault).__name__, advice)
    return found if isinstance(found, Finding) else Finding(what, "ok", found)


def _python() -> str:
    return f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores"


def _settings(environ: Mapping[str, str]) -> str:
    Settings.from_env(environ)
    changed = [name for name in Settings.__struct_encode_fields__ if environ.get(name)]
    return f"changed: {', '.join(changed)}" if changed else "all as they come"


def _sounds() -> Finding:
    formats = soundfile.available_formats()
    missing = [each.name for each in FORMATS if each.libsndfile[0] not in formats]
    version = soundfile.__libsndfile_version__
    if missing:
        return Finding(
            "sounds", "look", f"libsndfile {version} without {', '.join(missing)}", "install the wheels"
        )
    return Finding("sounds", "ok", f"libsndfile {version}: {SUPPORTED}")


def _hearing() -> Finding:
    classifier = Classifier.load()
    second = np.random.default_rng(1).standard_normal(RATE).astype(np.float32) / 10
    took_ms = _milliseconds(lambda: classifier.classify(second, RATE))
    return _speed(
        "hearing", f"model {classifier.sha256[:12]}, {took_ms:.1f} ms a second of sound", took_ms, HEARING_MS
    )


def _design() -> Finding:
    noise = np.random.default_rng(1).standard_normal(RATE)
    secondary = [0.0, 0.6, 0.3, -0.1]
    took_ms = _milliseconds(lambda: design_control_filter(noise, noise, secondary, taps=512))
    return _speed("control filter", f"{took_ms:.1f} ms for 512 taps", took_ms, DESIGN_MS)


def _speed(what: str, found: str, took_ms: float, most_ms: float) -> Finding:
    if took_ms <= most_ms:
        return Finding(what, "ok", found)
    return Finding(what, "look", found, f"under {most_ms:g} ms is usual; is the machine busy?")


def _milliseconds(do: Callable[[], object]) -> float:
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        do()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


def _folder(data: Path) -> Finding:
    check_private(data)
    there = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    if not os.access(there, os.W_OK):
        raise PermissionError(f"{there} cannot be written")
    free_gb = shutil.disk_usage(there).free / 1e9
    state = "holds a platform" if holds_platform(data) else "for a platform that starts"
    found = f"{data}: {state}, {free_gb:.0f} GB free, SQLite {sqlite3.sqlite_version}"
    if free_gb < LEAST_FREE_GB:
        return Finding("folder", "look", found, f"{LEAST_FREE_GB:g} GB should be free for recordings")
    return Finding("folder", "ok", found)


def _port(number: int, use: str) -> Finding:
    what = f"port {number}"
    try:
        with socket.create_server(("127.0.0.1", number)):
            return Finding(what, "ok", f"free for {use}")
    except OSError as fault:
        advice = "a platform that runs already, or another program; choose another one with --port"
        return Finding(what, "look", str(fault.strerror or fault), advice)


def _encrypted(url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        host, port = parts.hostname or "", parts.port or 443
        with (
            socket.create_connection((host, port), ANSWER_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return Finding("encryption", "ok", str(secure.version()))
    if parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return Finding("encryption", "ok", "none, and none is needed on this machine")
    return Finding(
        "encryption", "failing", "none: tokens and sound travel readable", "put TLS in front of it"
    )


def _health(answer: httpx.Response) -> Iterator[Finding]:
    advice = {
        "tables": "nothing works without it",
        "files": "recordings wait until it is back",
        "hearing": "headsets stay open to the world without it",
    }
    try:
        checks: dict[str, str] = answer.json()["checks"]
    except (ValueError, KeyError, TypeError):
        yield Finding(
            "health", "failing", f"HTTP {answer.status_code}, no health", "is this the platform's address?"
        )
        return
    for what, how in checks.items():
        well = how == "ok"
        yield Finding(what, "ok" if well else "failing", how, "" if well else advice.get(what, "see its log"))


def _clock(answer: httpx.Response) -> Finding:
    if "date" not in answer.headers:
        return Finding("clock", "look", "it does not tell its time", "")
    skew_s = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
    if abs(skew_s) <= SKEW_S:
        return Finding("clock", "ok", "as here, to some seconds")
    return Finding(
        "clock", "failing", f"{skew_s:+.0f} s from here", "tokens are refused; set one of the clocks"
    )


def _latency(client: httpx.Client) -> Finding:
    took_ms = _milliseconds(lambda: client.get("/health"))
    return Finding("round trip", "ok", f"{took_ms:.0f} ms, the median of {CALLS} calls")


def _description(client: httpx.Client) -> Finding:
    try:
        described = client.get("/openapi.json").raise_for_status().json()
        return Finding(
            "description", "ok", f"OpenAPI {described['openapi']}, {len(described['paths'])} paths"
        )
    except (httpx.HTTPError, ValueError, KeyError) as fault:
        return Finding("description", "failing", str(fault), "clients cannot be generated from it")


def _token(client: httpx.Client, token: str) -> Finding:
    answer = client.get("/api/users/me", headers={"Authorization": f"Bearer {token}"})
    if answer.is_success:
        return Finding("token", "ok", f"{answer.json()['user']}, {answer.json()['role']}")
    return Finding("token", "failing", f"HTTP {answer.status_code}", "make one with `anc token`, or sign in")


def _socket(url: str, token: str) -> Finding:
    try:
        with connect(url, subprotocols=[SUBPROTOCOL, token], open_timeout=ANSWER_S) as opened:  # type: ignore[list-item]
            opened.send('{"action":"ping"}')
            opened.recv(ANSWER_S)
            return Finding("socket", "ok", f"opens and answers, protocol {opened.subprotocol}")
    except (OSError, InvalidStatus, InvalidHandshake, WebSocketException) as fault:
        return Finding("socket", "failing", str(fault), "a proxy on the way may not let WebSockets through")
