"""Single-use links that open the console signed in, valid for ten minutes.

Anyone who may write to the data folder may create links, as they may issue tokens. The code is sent in the
fragment of the URL, which browsers do not transmit, and then in a request body: neither appears in logs.
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

from anc.client_address import client_address
from anc.lifetimes import LOGIN_LINK_MINUTES, MINUTE_S
from anc.ports import Limits
from anc.schemas.refusal import Refused, refuse
from anc.services.access.identity import Role
from functions.routes import SECRETS
from local.auth.issuer import Issuer
from local.data_folder import give_to_owner
from local.http.request_body import CLOSE_HEADERS, RequestBody
from local.http.rest import problem

LIFE_S = LOGIN_LINK_MINUTES * MINUTE_S
CODE_BYTES = 12
BODY_LIMIT = 256
USED = f"code was used or is older than {LOGIN_LINK_MINUTES} minutes; run `anc console` for another link"


class LoginLinks:
    """Login links in a data folder, one file each, named by the hash of its code.

    Parameters
    ----------
    data : Path
    issuer : Issuer
        Issues the token for a code.
    clock : callable
        Seconds since the epoch.
    limits : Limits, optional
        Limits the attempts per address; None for no limit.
    per_minute : int
        Attempts per address.
    """

    def __init__(
        self,
        data: Path,
        issuer: Issuer,
        clock: Callable[[], float] = time.time,
        limits: Limits | None = None,
        per_minute: int = SECRETS,
    ) -> None:
        self._folder = data / "invitations"
        self._issuer = issuer
        self._clock = clock
        self._limits = limits
        self._per_minute = per_minute

    def make(self, user: str, role: Role) -> str:
        """Return a new code that signs `user` in."""
        self._create_folder()
        for path in self._folder.iterdir():
            if _read(path).get("until", 0.0) < self._clock():
                path.unlink(missing_ok=True)
        code = secrets.token_urlsafe(CODE_BYTES)
        content = json.dumps({"user": user, "role": role, "until": self._clock() + LIFE_S})
        with os.fdopen(os.open(self._path(code), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            give_to_owner(file.fileno(), self._folder.parent)
            file.write(content)
        return code

    def _create_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            give_to_owner(descriptor, self._folder.parent)
        finally:
            os.close(descriptor)

    def is_open(self, code: str) -> bool:
        """Return whether a code is still valid."""
        return self._clock() < _read(self._path(code)).get("until", 0.0)

    def accept(self, code: str) -> str | None:
        """Return a bearer token, or None for a code that was used, has expired or is unknown."""
        path = self._path(code)
        link = _read(path)
        try:
            path.unlink()  # of two simultaneous requests the second one fails here
        except FileNotFoundError:
            return None
        if link.get("until", 0.0) < self._clock():
            return None
        return self._issuer.issue(link["user"], link["role"])

    def routes(self) -> list[Route]:
        """Return the endpoint that exchanges a code for a token."""
        return [Route("/sign-in", self._exchange, methods=["POST"])]

    async def _exchange(self, request: Request) -> Response:
        body = RequestBody(request, BODY_LIMIT)
        try:
            self._limit(client_address({}, request.client.host if request.client else "", ""))
            token = await self._token_for(await body.read())
        except Refused as refusal:
            return problem(refusal, {} if await body.discard() else CLOSE_HEADERS)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        return JSONResponse({"token": token}, headers={"Cache-Control": "no-store"})

    def _limit(self, address: str) -> None:
        wait_s = 0
        if self._limits:
            wait_s = self._limits.wait_s("POST /sign-in", f"address {address}", self._per_minute)
        if wait_s:
            message = f"requests: at most {self._per_minute} per minute; try again in {wait_s} s"
            raise Refused("too_many", message, wait_s=wait_s)

    async def _token_for(self, body: bytes) -> str:
        try:
            code = json.loads(body)["code"]
        except (ValueError, KeyError, TypeError, RecursionError):
            code = None
        if not isinstance(code, str):
            refuse("bad_field", 'body must be JSON, {"code": "..."}')
        return await run_in_threadpool(self.accept, code) or refuse("unauthorized", USED)

    def _path(self, code: str) -> Path:
        return self._folder / hashlib.sha256(code.encode(errors="replace")).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        link: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return link


def console_address(url: str, code: str) -> str:
    """Return the URL of the console that signs in with a code."""
    return f"{url}/#code={code}"


class ConsoleLink:
    """Print login links for the console.

    Parameters
    ----------
    url : str
        URL of the platform.
    login_links : LoginLinks
    console : Console
        Output; the link is printed without line breaks.
    """

    def __init__(self, url: str, login_links: LoginLinks, console: Console) -> None:
        self._url = url
        self._login_links = login_links
        self._console = console
        self._code = ""

    def show(self) -> None:
        """Print a link, unless the previous one is still valid."""
        if self._login_links.is_open(self._code):
            return
        self._code = self._login_links.make("demo", "admin")
        shown = f"Console:            {console_address(self._url, self._code)}"
        self._console.print(shown, soft_wrap=True, markup=False, highlight=False)
