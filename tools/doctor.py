"""`anc doctor`: check this machine or a running deployment."""

import os
import platform
import shutil
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
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

from anc.audio.formats import FORMATS, SUPPORTED, WITHOUT_FFMPEG
from anc.dsp import design_control_filter
from anc.noise import Classifier
from anc.schemas.websocket import SUBPROTOCOL
from anc.settings import Settings
from local.configuration import LaunchSettings, unknown_names
from local.data_folder import check_private, holds_platform

UNREACHABLE = "check the address, or start the platform with `anc up`"
State = Literal["ok", "warning", "failing"]

RATE = 16_000
MAX_DESIGN_MS = 60.0  # several times what a typical core needs for a control filter
MAX_CLASSIFY_MS = 12.0
MIN_FREE_GB = 1.0
MAX_CLOCK_SKEW_S = 30.0
TIMEOUT_S = 30.0
CALLS = 5


class Finding(NamedTuple):
    """The result of one check; `advice` says what to do unless the state is ok."""

    what: str
    state: State
    found: str
    advice: str = ""


def check_machine(data: Path, port: int, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Check what the platform needs of this machine.

    Parameters
    ----------
    data : Path
        Data folder; it is not created.
    port : int
        Port of REST and WebSocket; MQTT uses the next one.
    environ : mapping
        Environment variables.
    """
    yield Finding("Python", "ok", _python())
    yield _run_check("settings", lambda: _settings(environ), "correct it in the environment or in .env")
    yield _run_check("audio formats", _audio_formats, "reinstall the requirements")
    yield _run_check("classifier", _classifier, "headsets stay in transparency mode until the model loads")
    yield _run_check("control filter", _design, "")
    if kernels := [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in environ]:
        yield Finding(
            "BLAS", "warning", f"{', '.join(kernels)} set", "slows numpy; unset it before measuring speed"
        )
    yield _run_check("data folder", lambda: _data_folder(data), "choose another folder with --data")
    for number, use in ((port, "REST and WebSocket"), (port + 1, "MQTT")):
        yield _run_check(f"port {number}", lambda n=number, u=use: _port(n, u), "")  # type: ignore[misc]


def check_deployment(url: str, token: str | None, sockets: str | None = None) -> Iterator[Finding]:
    """Check a running platform as its clients see it, without changing anything.

    Parameters
    ----------
    url : str
        URL of the REST API.
    token : str, optional
        Bearer token; without one, only public endpoints are checked.
    sockets : str, optional
        URL of the WebSocket API; by default `url` + `/ws`, as on the local platform.
    """
    with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
        try:
            health = client.get("/health")
        except httpx.HTTPError as fault:
            yield Finding("reachable", "failing", str(fault) or type(fault).__name__, UNREACHABLE)
            return
        yield _encryption(url)
        yield from _health(health)
        yield _clock(health)
        yield _latency(client)
        yield _description(client)
        if token:
            yield _token(client, token)
            yield _socket(sockets or url.replace("http", "ws", 1).rstrip("/") + "/ws", token)


def _run_check(what: str, check: Callable[[], Finding | str], advice: str) -> Finding:
    try:
        found = check()
    except Exception as fault:  # noqa: BLE001  every failure is a finding
        return Finding(what, "failing", str(fault) or type(fault).__name__, advice)
    return found if isinstance(found, Finding) else Finding(what, "ok", found)


def _python() -> str:
    return f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores"


def _settings(environ: Mapping[str, str]) -> Finding:
    LaunchSettings.from_env(environ)
    Settings.from_env(environ)
    if unknown := unknown_names(environ):
        return Finding("settings", "warning", "; ".join(unknown), "see `anc config show`")
    changed = [name for name in Settings.__struct_encode_fields__ if environ.get(name)]
    return Finding("settings", "ok", f"changed: {', '.join(changed)}" if changed else "defaults")


def _audio_formats() -> Finding:
    formats = soundfile.available_formats()
    missing = [each.name for each in FORMATS if each.libsndfile and each.libsndfile[0] not in formats]
    version = soundfile.__libsndfile_version__
    if missing:
        found = f"libsndfile {version} without {', '.join(missing)}"
        return Finding("audio formats", "warning", found, "install soundfile from its wheel")
    try:
        import av  # noqa: PLC0415
    except ImportError:
        found = f"libsndfile {version}, no FFmpeg: only {WITHOUT_FFMPEG}"
        return Finding("audio formats", "warning", found, "install av from its wheel")
    found = f"libsndfile {version}, PyAV {av.__version__}: {SUPPORTED}"
    return Finding("audio formats", "ok", found)


def _classifier() -> Finding:
    classifier = Classifier.load()
    second = np.random.default_rng(1).standard_normal(RATE).astype(np.float32) / 10
    took_ms = _milliseconds(lambda: classifier.classify(second, RATE))
    return _speed(
        "classifier",
        f"model {classifier.sha256[:12]}, {took_ms:.1f} ms per second of sound",
        took_ms,
        MAX_CLASSIFY_MS,
    )


def _design() -> Finding:
    noise = np.random.default_rng(1).standard_normal(RATE)
    secondary = [0.0, 0.6, 0.3, -0.1]
    took_ms = _milliseconds(lambda: design_control_filter(noise, noise, secondary, taps=512))
    return _speed("control filter", f"{took_ms:.1f} ms for 512 taps", took_ms, MAX_DESIGN_MS)


def _speed(what: str, found: str, took_ms: float, limit_ms: float) -> Finding:
    if took_ms <= limit_ms:
        return Finding(what, "ok", found)
    return Finding(what, "warning", found, f"expected below {limit_ms:g} ms; other programs may be busy")


def _milliseconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


def _data_folder(data: Path) -> Finding:
    check_private(data)
    existing = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"{existing} is not writable")
    free_gb = shutil.disk_usage(existing).free / 1e9
    content = "existing platform" if holds_platform(data) else "no platform yet"
    found = f"{data}: {content}, {free_gb:.0f} GB free, SQLite {sqlite3.sqlite_version}"
    if free_gb < MIN_FREE_GB:
        return Finding("data folder", "warning", found, f"free at least {MIN_FREE_GB:g} GB for recordings")
    return Finding("data folder", "ok", found)


def _port(number: int, use: str) -> Finding:
    what = f"port {number}"
    try:
        with socket.create_server(("127.0.0.1", number)):
            return Finding(what, "ok", f"free for {use}")
    except OSError as fault:
        advice = "in use by a running platform or another program; choose another port with --port"
        return Finding(what, "warning", str(fault.strerror or fault), advice)


def _encryption(url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        host, port = parts.hostname or "", parts.port or 443
        with (
            socket.create_connection((host, port), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return Finding("encryption", "ok", str(secure.version()))
    if parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return Finding("encryption", "ok", "none; not required on this machine")
    return Finding(
        "encryption", "failing", "none: tokens and audio are sent in plain text", "terminate TLS in a proxy"
    )


def _health(answer: httpx.Response) -> Iterator[Finding]:
    advice = {
        "tables": "the platform does not work without it",
        "files": "recordings are processed once it recovers",
        "classifier": "headsets stay in transparency mode without it",
    }
    try:
        checks: dict[str, str] = answer.json()["checks"]
    except (ValueError, KeyError, TypeError):
        yield Finding(
            "health", "failing", f"HTTP {answer.status_code}, no health document", "check the address"
        )
        return
    for what, result in checks.items():
        if result == "ok":
            yield Finding(what, "ok", result)
        else:
            yield Finding(what, "failing", result, advice.get(what, "see the platform's log"))


def _clock(answer: httpx.Response) -> Finding:
    if "date" not in answer.headers:
        return Finding("clock", "warning", "the response has no Date header", "")
    skew_s = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
    if abs(skew_s) <= MAX_CLOCK_SKEW_S:
        return Finding("clock", "ok", "in sync within seconds")
    return Finding("clock", "failing", f"{skew_s:+.0f} s off", "tokens are rejected; correct the wrong clock")


def _latency(client: httpx.Client) -> Finding:
    took_ms = _milliseconds(lambda: client.get("/health"))
    return Finding("round trip", "ok", f"{took_ms:.0f} ms, median of {CALLS} calls")


def _description(client: httpx.Client) -> Finding:
    try:
        described = client.get("/openapi.json").raise_for_status().json()
        return Finding(
            "description", "ok", f"OpenAPI {described['openapi']}, {len(described['paths'])} paths"
        )
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as fault:
        return Finding("description", "failing", str(fault), "clients cannot be generated")


def _token(client: httpx.Client, token: str) -> Finding:
    answer = client.get("/api/users/me", headers={"Authorization": f"Bearer {token}"})
    with suppress(ValueError, KeyError, TypeError):  # not from the platform
        return Finding("token", "ok", f"{answer.json()['user']}, {answer.json()['role']}")
    return Finding("token", "failing", f"HTTP {answer.status_code}", "create one with `anc token` or sign in")


def _socket(url: str, token: str) -> Finding:
    try:
        with connect(url, subprotocols=[SUBPROTOCOL, token], open_timeout=TIMEOUT_S) as opened:  # type: ignore[list-item]
            opened.send('{"action":"ping"}')
            opened.recv(TIMEOUT_S)
            return Finding("socket", "ok", f"connected, protocol {opened.subprotocol}")
    except (OSError, InvalidStatus, InvalidHandshake, WebSocketException) as fault:
        return Finding("socket", "failing", str(fault), "a proxy may be blocking WebSockets")
