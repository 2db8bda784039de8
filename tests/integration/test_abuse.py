"""What one caller does to a running platform, and what everybody else sees of it."""

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
    """Guess so many passwords, each under another forwarded address; return the statuses."""
    with httpx.Client(base_url=f"http://127.0.0.1:{platform.port}", timeout=PATIENCE_S) as client:
        guess = {"username": "ann", "password": "wrong"}
        return [
            client.post(
                "/api/auth/token", json=guess, headers={"X-Forwarded-For": f"192.0.2.{n}"}
            ).status_code
            for n in range(number)
        ]


def test_a_client_cannot_choose_the_address_that_its_sign_ins_are_counted_under(start: Start) -> None:
    codes = guesses(start(RATE_LIMIT_SCALE="0.1", FORWARDED_ALLOW_IPS="*"), 4)
    assert codes == [401, 401, 429, 429], SECRETS


def test_a_proxy_that_is_configured_names_its_clients(start: Start) -> None:
    assert guesses(start(RATE_LIMIT_SCALE="0.1", TRUSTED_PROXIES="127.0.0.1"), 4) == [401] * 4


def test_a_token_among_the_subprotocols_opens_no_door_of_rest(shared_platform: Platform, url: str) -> None:
    offered = {"Sec-WebSocket-Protocol": f"anc.v1, {shared_platform.token('ann')}"}
    for headers in (offered, {}, offered | {"Authorization": "Bearer"}):
        assert httpx.get(f"{url}/api/sessions", headers=headers).status_code == 401


def test_requests_that_never_end_keep_nobody_from_the_health(shared_platform: Platform, url: str) -> None:
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


def test_a_large_body_without_a_token_is_answered_and_not_kept(shared_platform: Platform, url: str) -> None:
    body = b'{"a":[' + b"[]," * 2_600_000 + b"1]}"
    answer = httpx.post(f"{url}/api/sessions", content=body, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    token = {"Authorization": f"Bearer {shared_platform.token('ann')}"}
    answer = httpx.post(f"{url}/api/sessions", content=body, headers=token, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
