"""Connections dropped at any stage are cleaned up without errors in the log."""

import base64
import json
import os
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from anc.settings import Settings
from local.auth.issuer import Issuer
from tests.processes import PATIENCE_S, Platform, until

VANISHING = 120  # more than the sockets that one person may have
CONNACK = b"\x20\x02\0\0"
FRAMES = [b'{"action":"ping"}', b'{"action":"start","rate":16000,"taps":512}', b"x" * 40_000, b"{"]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    running = Platform(tmp_path_factory.mktemp("platform"))
    yield running
    running.kill()
    log = running.log.read_text()
    faults = [line for line in log.splitlines() if "Traceback" in line or json.dumps("ERROR") in line]
    assert faults == [], log[-3000:]


def reset(plain: socket.socket) -> None:
    """Reset a connection, as when a client is switched off."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


def sent(platform: Platform, data: bytes, port: int = 0) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port or platform.port), timeout=PATIENCE_S)
    plain.sendall(data)
    return plain


def handshake(token: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


def masked(payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack(">H", size)
    return b"\x81" + length + bytes(4) + payload


def totals(platform: Platform) -> dict[str, Any]:
    token = Issuer(platform.data, Settings()).issue("root", "admin")
    platform.tokens["root"] = token
    return dict(platform.request("GET", "/api/stats/summary", user="root")[1]["totals"])


def all_sockets_are_closed(platform: Platform) -> bool:
    known = totals(platform)
    return bool(known.get("sockets_opened", 0) == known.get("sockets_closed", 0))


def test_websockets_dropped_during_the_handshake_are_not_counted(platform: Platform) -> None:
    token = platform.token("ann")
    for number in range(VANISHING):
        plain = sent(platform, handshake(token))
        (reset if number % 2 else socket.socket.close)(plain)
    until(lambda: all_sockets_are_closed(platform))
    with platform.connect("ann") as here:
        here.send(action="ping")
        assert here.receive()["type"] == "pong"


def test_websockets_dropped_within_a_frame_are_cleaned_up(platform: Platform) -> None:
    token = platform.token("bob")
    for number in range(40):
        plain = sent(platform, handshake(token))
        while b"\r\n\r\n" not in plain.recv(4096, socket.MSG_PEEK):
            pass
        with suppress(ConnectionError):  # the platform hangs up on a frame that is too large
            for frame in FRAMES[number % 4 :]:
                plain.sendall(20 * masked(frame) + masked(frame)[:3] * (number % 2))
                if number % 3 == 0:
                    break
        reset(plain)
    until(lambda: all_sockets_are_closed(platform))


def test_aborted_requests_are_cleaned_up(
    platform: Platform,
) -> None:
    head = f"Host: x\r\nAuthorization: Bearer {platform.token('ann')}\r\n"
    calls = [
        f"POST /api/devices HTTP/1.1\r\n{head}Content-Length: 500\r\n\r\n{{",
        f"POST /api/audio/analyze HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        f"POST /sign-in HTTP/1.1\r\n{head}Content-Length: 99\r\n\r\n{{",
        f"GET /openapi.json HTTP/1.1\r\n{head}\r\n",
        f"GET /api/devices HTTP/1.1\r\n{head}\r\n",
    ]
    for number in range(60):
        plain = sent(platform, calls[number % len(calls)].encode())
        (reset if number % 2 else socket.socket.close)(plain)
    assert platform.request("GET", "/health")[0] == 200


def test_headsets_dropped_at_any_stage_are_cleaned_up(platform: Platform, tmp_path: Path) -> None:
    made = platform.request("POST", "/api/devices", {"thing": "h", "secondary": [0.0, 0.5]}, "ann")[1]
    pem = tmp_path / "own.pem"
    pem.write_text(made["credentials"]["certificate"] + made["credentials"]["private_key"])
    context = ssl.create_default_context(cadata=made["credentials"]["ca"])
    context.load_cert_chain(pem)
    connect = b"\x10\x0d\0\4MQTT\4\2\0\x1e\0\1h"
    for data in (b"", os.urandom(30), b"\x16\x03\x01\x02\x00"):
        reset(sent(platform, data, platform.port + 1))
    cut_short = connect + b"\x30\xc8\x01\0\x0fanc/h/telemetry"
    for stage, answer in ((b"", 0), (connect, 0), (cut_short, 0), (cut_short, len(CONNACK))):
        for end in (reset, socket.socket.close):
            plain = socket.create_connection(("127.0.0.1", platform.port + 1), timeout=PATIENCE_S)
            tls = context.wrap_socket(plain, server_hostname="127.0.0.1")
            tls.sendall(stage)
            # Without waiting, a reset may overtake what was sent, and the headset was never online.
            if answer:
                assert tls.recv(answer) == CONNACK
            end(tls)

    def offline() -> bool:
        answer = platform.request("GET", "/api/devices/h", user="ann")
        assert answer[0] == 200, answer
        return answer[1]["online"] is False

    until(offline)
