"""Abuse by one caller does not affect others."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest

from functions.routes import SECRETS
from tests.processes import PATIENCE_S, Platform

Start = Callable[..., Platform]


@pytest.fixture
def url(shared_platform: Platform) -> str:
    return f"http://127.0.0.1:{shared_platform.port}"


def guesses(platform: Platform, number: int) -> list[int]:
    """Guess so many passwords, each of another user under another forwarded address; return the statuses."""
    with httpx.Client(base_url=f"http://127.0.0.1:{platform.port}", timeout=PATIENCE_S) as client:
        return [
            client.post(
                "/api/auth/token",
                json={"username": f"u{n}", "password": "wrong"},
                headers={"X-Forwarded-For": f"192.0.2.{n}"},
            ).status_code
            for n in range(number)
        ]


def test_sign_in_limits_ignore_spoofed_addresses(start: Start) -> None:
    codes = guesses(start(RATE_LIMIT_SCALE="0.1", FORWARDED_ALLOW_IPS="*"), 4)
    assert codes == [401, 401, 429, 429], SECRETS


def test_a_configured_proxy_sets_the_client_address(start: Start) -> None:
    assert guesses(start(RATE_LIMIT_SCALE="0.1", TRUSTED_PROXIES="127.0.0.1"), 4) == [401] * 4


def test_rest_ignores_tokens_in_subprotocols(shared_platform: Platform, url: str) -> None:
    offered = {"Sec-WebSocket-Protocol": f"anc.v1, {shared_platform.token('ann')}"}
    for headers in (offered, {}, offered | {"Authorization": "Bearer"}):
        assert httpx.get(f"{url}/api/sessions", headers=headers).status_code == 401


def test_unfinished_requests_do_not_block_the_health_check(shared_platform: Platform, url: str) -> None:
    halves = (
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n",
        b"POST /api/auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{",
    )
    with ExitStack() as stack:
        for half in halves * 25:
            line = stack.enter_context(
                socket.create_connection(("127.0.0.1", shared_platform.port), PATIENCE_S)
            )
            line.sendall(half)
        assert httpx.get(f"{url}/health", timeout=PATIENCE_S).status_code == 200


def test_an_unauthenticated_large_body_is_rejected_without_buffering(
    shared_platform: Platform, url: str
) -> None:
    body = b'{"a":[' + b"[]," * 2_600_000 + b"1]}"
    answer = httpx.post(f"{url}/api/sessions", content=body, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    token = {"Authorization": f"Bearer {shared_platform.token('ann')}"}
    answer = httpx.post(f"{url}/api/sessions", content=body, headers=token, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
