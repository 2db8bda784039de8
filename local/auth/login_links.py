"""Links that open the console signed in: once, and within ten minutes.

Whoever may write into the data folder may invite, as they may issue tokens. The code travels behind the `#`
of an address, which browsers keep to themselves, and then in a request's body: neither is in any log.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rich.console import Console
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from anc.lifetimes import LOGIN_LINK_MINUTES, MINUTE_S
from anc.schemas.refusal import Refused, refuse
from anc.services.access.identity import Role
from local.auth.issuer import Issuer
from local.http.request_body import CLOSE, RequestBody
from local.http.rest import problem

LIFE_S = LOGIN_LINK_MINUTES * MINUTE_S
CODE_BYTES = 12
BODY_LIMIT = 256
USED = f"code: used already, or older than {LOGIN_LINK_MINUTES} minutes; run `anc console` for another link"


class LoginLinks:
    """Invitations in a data folder, one file each, named so that reading the folder gives no code away.

    Parameters
    ----------
    data : Path
    issuer : Issuer
        Signs the token that a code is exchanged for.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(self, data: Path, issuer: Issuer, clock: Callable[[], float] = time.time) -> None:
        self._folder = data / "invitations"
        self._issuer = issuer
        self._clock = clock

    def make(self, user: str, role: Role) -> str:
        """Return a code that signs `user` in."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._folder.iterdir():
            if _read(path).get("until", 0.0) < self._clock():
                path.unlink(missing_ok=True)
        code = secrets.token_urlsafe(CODE_BYTES)
        kept = json.dumps({"user": user, "role": role, "until": self._clock() + LIFE_S})
        with os.fdopen(os.open(self._path(code), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(kept)
        return code

    def is_open(self, code: str) -> bool:
        """Whether it can still be used."""
        return self._clock() < _read(self._path(code)).get("until", 0.0)

    def accept(self, code: str) -> str | None:
        """Return a bearer token, or None for a code that was used, is too old or was never made."""
        path = self._path(code)
        kept = _read(path)
        try:
            path.unlink()  # of two at the same moment the second one fails here
        except FileNotFoundError:
            return None
        if kept.get("until", 0.0) < self._clock():
            return None
        return self._issuer.issue(kept["user"], kept["role"])

    def routes(self) -> list[Route]:
        """Return the endpoint that exchanges a code for a token."""
        return [Route("/sign-in", self._exchange, methods=["POST"])]

    async def _exchange(self, request: Request) -> Response:
        body = RequestBody(request, BODY_LIMIT)
        try:
            token = await self._token_for(await body.read())
        except Refused as refusal:
            return problem(refusal, {} if await body.discard() else CLOSE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        return JSONResponse({"token": token}, headers={"Cache-Control": "no-store"})

    async def _token_for(self, body: bytes) -> str:
        try:
            code = json.loads(body)["code"]
        except (ValueError, KeyError, TypeError, RecursionError):
            code = None
        if not isinstance(code, str):
            refuse("bad_field", 'body: must be JSON, {"code": "..."}')
        return await run_in_threadpool(self.accept, code) or refuse("unauthorized", USED)

    def _path(self, code: str) -> Path:
        return self._folder / hashlib.sha256(code.encode(errors="replace")).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return kept


def console_address(url: str, code: str) -> str:
    """Return the console's address that signs in with a code."""
    return f"{url}/#code={code}"


class ConsoleLink:
    """An address that opens the console once, signed in.

    Parameters
    ----------
    url : str
        Of the platform.
    invitations : Invitations
    console : Console
        To print on; the address is never broken into lines there.
    """

    def __init__(self, url: str, login_links: LoginLinks, console: Console) -> None:
        self._url = url
        self._invitations = login_links
        self._console = console
        self._code = ""

    def show(self) -> None:
        """Print an address, unless the one that was printed last can still be used."""
        if self._invitations.is_open(self._code):
            return
        self._code = self._invitations.make("demo", "admin")
        shown = f"Console:            {console_address(self._url, self._code)}"
        self._console.print(shown, soft_wrap=True, markup=False, highlight=False)
