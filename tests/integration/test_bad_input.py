"""Invalid input is rejected with a message, in bounded memory, without changes to stored data."""

import base64
import io
import json
import socket
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
import soundfile

from anc_client import Client, NewDevice, NewKey, NewSession, NewUpload
from functions.routes import REST
from tests.processes import PATIENCE_S, Platform, read_to_end

SOUNDS = ("/api/audio/process", "/api/audio/classify", "/api/audio/analyze", "/api/emergency/detect")
ROOM_MB = 150  # what refusing may cost at most, whatever was sent
PIECE = b"10000\r\n" + bytes(0x10000) + b"\r\n"  # of a chunked body


@pytest.fixture(scope="module")
def ann(shared_platform: Platform) -> Iterator[Client]:
    """Return the client of a user with one resource of each kind."""
    with Client(
        f"http://127.0.0.1:{shared_platform.port}", shared_platform.token("ann-of-bad-input")
    ) as client:
        client.open_session(NewSession(rate=16_000))
        client.register(NewDevice(thing="ann-left", secondary=[0.0, 0.5]))
        client.create_key(NewKey(name="robot"))
        client.create_upload(NewUpload(size=100))
        yield client


@pytest.fixture
def unchanged(ann: Client) -> Iterator[Client]:
    """Return the client, and check afterwards that its resources are unchanged."""
    before = everything(ann)
    yield ann
    assert everything(ann) == before


def everything(client: Client) -> list[str]:
    shadow = client.shadow("ann-left")
    found = [client.sessions(), client.devices(), client.api_keys(), client.jobs(), [shadow]]
    return [repr(each) for kind in found for each in kind]


def send(client: Client, method: str, path: str, content: Any = None, kind: str = "") -> httpx.Response:
    headers = {"Content-Type": kind} if kind else {}
    return client._http.request(method, path, content=content, headers=headers)


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Check that a response is a problem document (RFC 9457), and return it."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == answer.status_code
    assert document["detail"]
    return document


def peak_mb(platform: Platform) -> float:
    status = Path(f"/proc/{platform.process.pid}/status")
    if not status.exists():
        pytest.skip("how much memory a process holds is asked of Linux")
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024


def wav(frames: int = 8_000, channels: int = 1, rate: int = 16_000, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    samples = 0.1 * np.random.default_rng(3).standard_normal((frames, channels))
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def bomb() -> bytes:
    """Return ten minutes of silence, 230 MB when decoded, in a few kilobytes of flac."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 48_000, 2, format="FLAC", subtype="PCM_16") as flac:
        for _ in range(10):
            flac.write(np.zeros((60 * 48_000, 2), np.int16))
    return file.getvalue()


def lying() -> bytes:
    """Return a file of half a second whose header says 18 hours."""
    data = bytearray(wav())
    data[4:8] = data[40:44] = (2**31 - 4).to_bytes(4, "little")
    return bytes(data)


def not_numbers() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full((8_000, 1), np.nan, np.float32), 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.fixture(scope="module")
def hostile() -> dict[str, tuple[bytes, str]]:
    """Return invalid files by defect, each with a word of the expected message."""
    return {
        "bomb": (bomb(), "60"),
        "channels": (wav(100, 200), "channels"),
        "slow": (wav(100, 2, 1), "rate"),
        "fast": (wav(8_000, 2, 3_000_000), "rate"),
        "nan": (not_numbers(), "must be finite"),
        "empty": (b"", "file"),
        "text": (b"RIFF, but only in name", "file"),
        "cut": (wav()[:40], "file"),
    }


KINDS = ("bomb", "channels", "slow", "fast", "nan", "empty", "text", "cut")


@pytest.mark.parametrize("path", SOUNDS)
@pytest.mark.parametrize("kind", KINDS)
def test_invalid_files_are_rejected_in_bounded_memory(
    unchanged: Client,
    shared_platform: Platform,
    hostile: dict[str, tuple[bytes, str]],
    kind: str,
    path: str,
) -> None:
    data, word = hostile[kind]
    before = peak_mb(shared_platform)
    document = refused(send(unchanged, "POST", path, data, "application/octet-stream"), 400, 413)
    assert word in document["detail"]
    assert peak_mb(shared_platform) - before < ROOM_MB


@pytest.mark.parametrize("path", SOUNDS)
def test_a_wrong_size_in_a_header_costs_no_memory(
    unchanged: Client, shared_platform: Platform, path: str
) -> None:
    before = peak_mb(shared_platform)
    answer = send(unchanged, "POST", path, lying(), "audio/wav")
    if answer.status_code == 200:  # read as far as the file goes
        assert answer.json().get("seconds", 0.5) == 0.5
    else:
        refused(answer, 400, 413)
    assert peak_mb(shared_platform) - before < ROOM_MB


def connect(platform: Platform) -> socket.socket:
    return socket.create_connection(("127.0.0.1", platform.port), timeout=PATIENCE_S)


def head(method: str, target: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def until_cut_off(line: socket.socket) -> int:
    """Send without end; return the bytes that were taken before the other side hung up."""
    taken = 0
    try:
        while True:
            line.sendall(PIECE)
            taken += len(PIECE)
    except OSError:
        return taken


def test_an_endless_body_is_cut_off(unchanged: Client, shared_platform: Platform) -> None:
    bearer = f"Authorization: Bearer {shared_platform.token('ann-of-bad-input')}"
    before = peak_mb(shared_platform)
    link = httpx.URL(unchanged.create_upload(NewUpload(size=100)).links[0])
    job = link.path.rpartition("/")[2]
    targets = [
        ("POST", "/api/audio/process", bearer),
        ("POST", "/api/sessions", bearer),
        ("PUT", link.raw_path.decode()),
    ]

    def sent(target: tuple[str, ...]) -> int:
        with connect(shared_platform) as line:
            line.sendall(head(*target, "Transfer-Encoding: chunked"))
            return until_cut_off(line)

    with ThreadPoolExecutor(len(targets)) as senders:
        assert all(senders.map(sent, targets))
    assert peak_mb(shared_platform) - before < ROOM_MB
    assert unchanged.job(job).state == "uploading"
    unchanged.remove_job(job)


def test_an_oversized_content_length_is_rejected(shared_platform: Platform) -> None:
    token = f"Authorization: Bearer {shared_platform.token('ann-of-bad-input')}"
    for headers, status, expected in (([token], 413, b"10,000,000 bytes"), ([], 401, b"token")):
        with connect(shared_platform) as line:
            announced = head("POST", "/api/audio/process", "Content-Length: 99999999999", *headers)
            line.sendall(announced + b"abc")
            answer = read_to_end(line)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert expected in answer


def test_an_aborted_request_logs_no_error(shared_platform: Platform) -> None:
    for target in ("/api/audio/process", "/api/sessions"):
        with connect(shared_platform) as line:
            line.sendall(head("POST", target, "Content-Length: 1000") + b"abc")
    with Client(f"http://127.0.0.1:{shared_platform.port}") as other:
        assert other.health().live
    assert "ClientDisconnect" not in shared_platform.log.read_text()


BODIES = [
    ("POST", "/api/sessions", '{"rate": 16000, "volume": 11}', "volume"),
    ("POST", "/api/sessions", '{"rate": 1e9}', "rate"),
    ("POST", "/api/sessions", '{"mu": NaN}', "JSON"),
    ("POST", "/api/sessions", '{"mu": 1e999}', "mu"),
    ("POST", "/api/sessions", "[" * 60_000, ""),
    ("POST", "/api/sessions", b"\xff\xfe\x00", ""),
    ("POST", "/api/devices", '{"thing": "../../etc/passwd", "secondary": [0.5]}', "thing"),
    ("POST", "/api/devices", '{"thing": "x\'; DROP TABLE devices; --", "secondary": [0.5]}', "thing"),
    ("POST", "/api/devices", json.dumps({"thing": "x" * 10_000, "secondary": [0.5]}), "thing"),
    ("POST", "/api/devices", json.dumps({"thing": "x", "secondary": [0.5] * 10_000}), "secondary"),
    ("PATCH", "/api/devices/ann-left/shadow", '{"intensity": 2}', "intensity"),
    ("POST", "/api/audio/uploads", '{"size": 1e30}', "size"),
    ("POST", "/api/audio/uploads", '{"size": -1}', "size"),
    ("POST", "/api/users/me/keys", '{"name": "robot", "days": 1e9}', "days"),
    ("POST", "/api/auth/token", '{"username": "\' OR 1=1 --", "password": "x"}', "username"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "word"), BODIES, ids=[f"{case[1]} {str(case[2])[:30]}" for case in BODIES]
)
def test_an_invalid_body_is_rejected_by_field_name(
    unchanged: Client, method: str, path: str, body: str | bytes, word: str
) -> None:
    assert word in refused(send(unchanged, method, path, body, "application/json"), 400)["detail"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/sessions", "text/plain"),
        ("/api/sessions", "application/x-www-form-urlencoded"),
        ("/api/sessions", "multipart/form-data; boundary=x"),
        ("/api/sessions", "audio/wav"),
        ("/api/audio/analyze", "text/html"),
        ("/api/audio/process", "application/json"),
    ],
)
def test_a_wrong_content_type_is_rejected_with_the_allowed_ones(
    unchanged: Client, path: str, kind: str
) -> None:
    document = refused(send(unchanged, "POST", path, b'{"rate": 16000}', kind), 415)
    assert "must be" in document["detail"]


def test_compressed_bodies_are_not_decompressed(unchanged: Client) -> None:
    packed = zlib.compress(b'{"rate": 16000}' + b" " * 50_000_000, 9)
    headers = {"Content-Type": "application/json", "Content-Encoding": "deflate"}
    refused(unchanged._http.post("/api/sessions", content=packed, headers=headers), 400)


NAMES = (
    "' OR '1'='1",
    "x'; DROP TABLE streams; --",
    '" OR ""="',
    "..",
    "../../../../etc/passwd",
    "..%2f..%2fanc.db",
    "%2e%2e%2fanc.db",
    "....//anc.db",
    "\0",
    "ann-left\0",
    "ann-left\n",
    "ann-left/../ann-left",
    "*",
    "%",
    "_" * 5_000,
    "\N{GREEK SMALL LETTER ALPHA}" * 20,
    "${jndi:ldap://x}",
    "{id}",
)
NAMED = [route for route in REST if "{id}" in route.path]


@pytest.mark.parametrize("route", NAMED, ids=[f"{route.method} {route.path}" for route in NAMED])
def test_names_with_query_or_path_characters_are_not_found(unchanged: Client, route: Any) -> None:
    for name in NAMES:
        path = route.path.replace("{id}", quote(name, safe=""))
        body = b"{}" if route.method in {"POST", "PUT", "PATCH"} else None
        answer = send(unchanged, route.method, path, body, "application/json" if body else "")
        refused(answer, 400, 403, 404, 405)


def test_an_upload_link_grants_only_its_upload(unchanged: Client, shared_platform: Platform) -> None:
    made = unchanged.create_upload(NewUpload(size=100))
    good = httpx.URL(made.links[0])
    for key in (
        "anc.db",
        "../anc.db",
        "..%2fanc.db",
        "%2e%2e/issuer.pem",
        "uploads/../../anc.db",
        "",
        "uploads",
    ):
        with connect(shared_platform) as line:
            line.sendall(head("GET", f"/objects/{key}?{good.query.decode()}", "Connection: close"))
            assert read_to_end(line).split(b" ")[1] in {b"400", b"403", b"404"}, key
    for changed in ({"size": 10**9}, {"expires": 4_000_000_000}, {"signature": "0" * 64}, {"parts": "x"}):
        refused(httpx.put(good.copy_merge_params(changed), content=bytes(100), timeout=PATIENCE_S), 403)
    refused(httpx.put(good, content=bytes(99), timeout=PATIENCE_S), 400)
    refused(httpx.put(good, content=bytes(101), timeout=PATIENCE_S), 413)
    unchanged.remove_job(made.job)


@pytest.mark.parametrize("cursor", ["' OR 1=1 --", "\0", "../..", "x" * 3_000, "%", "%00", "ÿ"])
def test_a_forged_cursor_shows_no_foreign_data(unchanged: Client, cursor: str) -> None:
    own = {session.session for session in unchanged.sessions()}
    for path in ("/api/sessions", "/api/devices", "/api/audio/jobs", "/api/emergency/events"):
        answer = unchanged._http.get(path, params={"after": cursor})
        if answer.status_code == 200:
            assert {found["session"] for found in answer.json().get("sessions", [])} <= own
        else:
            refused(answer, 400)


def test_invalid_base64_in_a_block_is_rejected_and_the_session_continues(
    unchanged: Client, shared_platform: Platform
) -> None:
    with shared_platform.connect("ann-of-bad-input") as line:
        session = line.ask(action="start", rate=16_000, channels=2, taps=16)["session"]
        good = base64.b64encode(bytes(4 * 64)).decode()
        for pcm in ("!" * 16, good[:-1], good + "=", "\0" * 8, "QQ==", " " + good):
            answer = line.ask(action="audio", session=session, seq=0, pcm=pcm)
            assert (answer["type"], answer["seq"]) == ("error", 0), pcm
            assert "pcm" in answer["message"]
        assert line.ask(action="audio", session=session, seq=0, pcm=good)["type"] == "audio"
        line.ask(action="stop", session=session)


def test_a_token_with_invalid_base64_is_rejected(shared_platform: Platform) -> None:
    good = shared_platform.token("ann-of-bad-input")
    url = f"http://127.0.0.1:{shared_platform.port}/api/users/me"
    for token in (good[:-2] + "!!", "a.b.c", "..", "=" * 50, good.replace(".", "=.")):
        assert refused(httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S), 401)


def test_the_platform_is_healthy_afterwards_and_logged_no_crash(
    shared_platform: Platform, ann: Client
) -> None:
    assert ann.health().ready
    assert "Traceback" not in shared_platform.log.read_text()
