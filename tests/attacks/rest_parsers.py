"""The parsers of REST requests: as events of API Gateway, and as bytes on a connection of one machine.

An event gets a status below 500. A request by HTTP gets well-formed responses with such a status, or none.
"""

import base64
import dataclasses
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, quote, unquote

from anc.ports import Grant
from anc.schemas.refusal import Refused
from functions.authorizer.handler import handler as authorizer
from functions.rest_api.handler import handler as rest_api
from functions.routes import REST
from functions.ws_connect.handler import handler as ws_connect
from local.lambda_context import LocalContext
from local.lambda_events import authorizer_event, handshake_event, rest_event, socket_event
from tests.attacks import rest_samples
from tests.attacks.http_connection import Declined, HttpServer
from tests.attacks.rest_samples import (
    BODIES,
    ORIGIN_SECRET,
    QUERIES,
    SIGN_IN,
    method_and_path,
    start_and_rest,
)
from tests.fakes import Clock, FakePlatform, make_dependencies

ALICE = {"principalId": "alice", "user": "alice", "role": "admin", "key": ""}


class Broken(AssertionError):
    """Raised when a parser failed, or accepted what it must refuse."""


class RestParser(NamedTuple):
    """A parser of one part of a request; every exception but `Declined` is a fault."""

    name: str
    parse: Callable[[bytes], object]
    samples: list[bytes]


class OneUser:
    """One account without a password, because hashing one takes longer than all other parsing."""

    def sign_in(self, name: str, password: str, code: str = "") -> Grant | None:
        """Return a token for the user of the examples."""
        return Grant("token", 1, "listener", name) if name == "ada" else None

    begin_second_factor = get = delete = remove_second_factor = lambda self, *_: None

    def confirm_second_factor(self, name: str, password: str, code: str) -> bool:
        """Refuse every code."""
        return False

    def create(self, name: str, password: str, role: str) -> None:
        """Raise Refused: every name is taken."""
        raise Refused("exists", "username: is taken")

    def list(self, limit: int = 50, after: str = "") -> tuple[list[Any], str]:
        """Return no accounts."""
        return [], ""

    def set_role(self, user: str, role: str) -> None:
        """Raise LookupError: no account can change."""
        raise LookupError(user)


def rest_parsers(folder: Path) -> list[RestParser]:
    """Return the parsers of both forms of a request. Their platform is in `folder`."""
    platform = make_dependencies(
        folder, Clock(), rate_limit_scale=1e6, emergency_detection_enabled=False, origin_secret=ORIGIN_SECRET
    )
    deps = dataclasses.replace(platform.deps, users=OneUser())  # type: ignore[arg-type]
    platform = dataclasses.replace(platform, deps=deps)
    token = platform.issuer.issue("alice", "admin")
    events, server = Events(platform), HttpServer(platform, token)
    samples = {
        "path": rest_samples.paths(),
        "query": rest_samples.queries(),
        "header": rest_samples.header_lines(token),
        "body": rest_samples.bodies(),
    }
    parsers = [
        RestParser(f"{form} {part}", getattr(here, part), known)
        for form, here in (("REST", events), ("HTTP", server))
        for part, known in samples.items()
    ]
    return [*parsers, RestParser("HTTP stream", server.stream, server.streams())]


def matching(method: str, path: str) -> tuple[str, str] | None:
    """Return the resource that API Gateway invokes for a path, and the id in it; None for none."""
    parts = path.split("/")
    for route in REST:
        wanted = route.path.split("/")
        if route.method == method and len(wanted) == len(parts):
            pairs = list(zip(wanted, parts, strict=True))
            if all(want == part or (want == "{id}" and part) for want, part in pairs):
                return route.path, next((part for want, part in pairs if want == "{id}"), "")
    return None


class Events:
    """Requests as API Gateway passes them to the functions (payload version 1.0)."""

    def __init__(self, platform: FakePlatform) -> None:
        self._platform = platform
        device = BODIES[b"POST /api/devices"]
        self._call("POST", "/api/devices", body=device.decode())  # the headset of the other examples

    def path(self, data: bytes) -> object:
        """Handle a method and path, raw or decoded, as gateways differ in it."""
        method, path = (part.decode(errors="replace") for part in method_and_path(data))
        return self._call(method, unquote(path) if len(data) % 2 else quote(path, safe="/%"))

    def query(self, data: bytes) -> object:
        """Handle a query string, with repeated names."""
        path, text = start_and_rest(data, b"?", QUERIES)
        return self._call("GET", path.decode(), query=text.decode(errors="replace"))

    def header(self, data: bytes) -> object:
        """Handle headers, by the authorizer and the functions of both APIs."""
        pairs = [line.partition(":") for line in data.decode("latin-1").split("\n") if ":" in line]
        headers = {name.strip(): value.strip() for name, _, value in pairs}
        for event in (authorizer_event("GET", "/api/sessions", headers), handshake_event(headers)):
            self._authorise(event)
        event = socket_event("CONNECT", "$connect", "c1", self._platform.clock.now, ALICE, headers)
        answer = ws_connect(event, LocalContext("ws_connect"), self._platform.deps)
        self._platform.deps.connections.delete("c1")
        _check(answer, "$connect")
        (method, path), body = SIGN_IN[0].decode().split(), SIGN_IN[1].decode()
        return self._call(method, path, headers=headers, body=body)

    def body(self, data: bytes) -> object:
        """Handle a body, in base64 where it is not UTF-8."""
        start, body = start_and_rest(data, b"\n", BODIES)
        method, _, path = start.decode().partition(" ")
        try:
            return self._call(method, path, body=body.decode())
        except UnicodeDecodeError:
            return self._call(method, path, body=base64.b64encode(body).decode(), is_base64=True)

    def _authorise(self, event: dict[str, Any]) -> None:
        try:
            policy = authorizer(event, LocalContext("authorizer"), self._platform.deps)
        except Exception as fault:
            if str(fault) != "Unauthorized":
                raise
            return
        if (policy["principalId"], policy["context"]["role"]) != ("alice", "admin"):
            raise Broken(f"a token of alice became one of {policy['principalId']}")

    def _call(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: str | None = None,
        is_base64: bool = False,
    ) -> int:
        resource, identifier = matching(method, path) or ("", "")
        if not resource:
            raise Declined(HTTPStatus.NOT_FOUND)  # by API Gateway
        event = rest_event(
            method,
            resource,
            path,
            {"id": unquote(identifier)} if identifier else {},
            dict(parse_qsl(query, keep_blank_values=True)),
            headers or {},
            body,
            is_base64,
            {**ALICE, "since": str(self._platform.clock.now)},
            "192.0.2.1",
        )
        event["multiValueQueryStringParameters"] = parse_qs(query, keep_blank_values=True) or None
        return _check(rest_api(event, LocalContext("rest_api"), self._platform.deps), f"{method} {path!r}")


def _check(answer: dict[str, Any], what: str) -> int:
    status = int(answer["statusCode"])
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Broken(f"{what}: {status} {answer.get('body', '')[:200]}")
    if status >= HTTPStatus.BAD_REQUEST:
        raise Declined(status)
    return status
