"""Login links: single use, expiry, and no codes on disk."""

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import jwt
import pytest
from starlette.applications import Starlette

from anc.settings import Settings
from local.auth.issuer import Issuer
from local.auth.login_links import LIFE_S, LoginLinks
from tests.fakes import Clock


@pytest.fixture
def login_links(tmp_path: Path, clock: Clock) -> LoginLinks:
    return LoginLinks(tmp_path, Issuer(tmp_path, Settings()), clock)


Send = Callable[[bytes], httpx.Response]


@pytest.fixture
def send(login_links: LoginLinks) -> Send:
    async def posted(body: bytes) -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=list(login_links.routes())))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post("/sign-in", content=body)

    return lambda body: asyncio.run(posted(body))


def with_code(code: str) -> bytes:
    return json.dumps({"code": code}).encode()


def test_a_code_is_exchanged_for_a_token_of_its_user(login_links: LoginLinks, send: Send) -> None:
    answer = send(with_code(login_links.make("ann", "operator")))
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["role"]) == ("ann", "operator")
    assert answer.headers["cache-control"] == "no-store"


def test_a_code_signs_in_once(login_links: LoginLinks, send: Send) -> None:
    code = login_links.make("ann", "admin")
    assert login_links.is_open(code)
    assert send(with_code(code)).status_code == 200
    assert not login_links.is_open(code)
    again = send(with_code(code))
    assert again.status_code == 401
    assert "anc console" in again.json()["detail"]


def test_a_code_expires_after_ten_minutes(login_links: LoginLinks, clock: Clock) -> None:
    code = login_links.make("ann", "admin")
    clock.now += LIFE_S + 1
    assert not login_links.is_open(code)
    assert login_links.accept(code) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"code": "never-made"}', 401),
        (b'{"code": "../issuer.pem"}', 401),
        (b'{"code": "\\ud800"}', 401),
        (b'{"code": 7}', 400),
        (b"[]", 400),
        (b"", 400),
        (b"\xff\xfe", 400),
        (b'{"code": "' + 300 * b"a" + b'"}', 413),
    ],
)
def test_an_invalid_code_is_refused_with_a_reason(send: Send, body: bytes, status: int) -> None:
    answer = send(body)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_the_folder_does_not_reveal_codes(login_links: LoginLinks, tmp_path: Path) -> None:
    code = login_links.make("ann", "admin")
    (link_file,) = (tmp_path / "invitations").iterdir()
    assert code not in link_file.name + link_file.read_text()
    assert stat.S_IMODE(link_file.stat().st_mode) == 0o600
