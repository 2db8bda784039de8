"""API Gateway's REST side on this machine: the authorizer, and real events to the real handlers."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from anc.wire.problem import KIND, Problem
from anc.wire.refusal import Refused
from functions.routes import REST, RestRoute
from local.bodies import CLOSE, pieces
from local.events import authorizer_event, rest_event

Invoke = Callable[[str, dict[str, Any]], Any]
BODY_LIMIT = 10 * 1024 * 1024
BODY_S = 120.0

logger = Logger(service="rest")


class Authorizer:
    """The authorizer function, called for every request and handshake.

    Nothing is cached: a call takes 0.1 ms, a token ends at its expiry, and a revoked key at once.
    """

    def __init__(self, invoke: Invoke) -> None:
        self._invoke = invoke

    def __call__(self, event: dict[str, Any]) -> dict[str, str] | None:
        """Return who calls, or None for somebody who may not."""
        try:
            policy = self._invoke("authorizer", event)
        except Exception as fault:
            if str(fault) != "Unauthorized":
                logger.exception("the authorizer failed")
            return None
        return {"principalId": policy["principalId"], **policy["context"]}


class RestApi:
    """The endpoints of the table of routes.

    Parameters
    ----------
    invoke : callable
        `invoke(function, event)` calls a function's handler and returns its answer.
    threads : Executor
        In which requests are answered: the event loop only reads and writes.
    authorizer : Authorizer
    """

    def __init__(self, invoke: Invoke, threads: Executor, authorizer: Authorizer) -> None:
        self._invoke = invoke
        self._threads = threads
        self._authorizer = authorizer

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        paths: dict[str, dict[str, RestRoute]] = {}
        for entry in REST:
            paths.setdefault(entry.path, {})[entry.method] = entry
        return [Route(path, self._endpoint(entries), methods=[*entries]) for path, entries in paths.items()]

    def _endpoint(self, entries: Mapping[str, RestRoute]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            entry = entries.get(request.method)
            if entry is None:  # HEAD, which comes with every GET
                raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(entries)})
            try:
                body = b"".join([piece async for piece in pieces(request, BODY_LIMIT, BODY_S)])
            except Refused as refusal:
                return problem(refusal.code, refusal.message, CLOSE)
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)  # which nobody hears
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._answer, entry, request, body
            )

        return endpoint

    def _answer(self, entry: RestRoute, request: Request, body: bytes) -> Response:
        headers = dict(request.headers)
        path = request.scope["path"]  # of a URL, Python drops line feeds
        address = request.client.host if request.client else ""
        authorizer: dict[str, str] | None = {}
        if not entry.public:
            authorizer = self._authorizer(authorizer_event(entry.method, path, headers))
        if authorizer is None:
            return problem(
                "unauthorized", "token: missing, expired or not ours", {"WWW-Authenticate": "Bearer"}
            )
        text, is_base64 = _as_text(body)
        event = rest_event(
            entry.method,
            entry.path,
            path,
            {name: str(value) for name, value in request.path_params.items()},
            dict(request.query_params),
            headers,
            text,
            is_base64,
            authorizer,
            address,
        )
        try:
            return _response(self._invoke(entry.function, event))
        except Exception:
            logger.exception("the function failed", function=entry.function)
            return problem("bad_gateway", "the function failed; its log says why")


async def nothing_here(request: Request, fault: Exception) -> Response:
    """Say that there is nothing at a path, or nothing that takes this method."""
    assert isinstance(fault, HTTPException)
    code = "method_not_allowed" if fault.status_code == HTTPStatus.METHOD_NOT_ALLOWED else "not_found"
    return problem(code, f"path: there is nothing at {request.method} {request.scope['path']}", fault.headers)


def problem(code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem document."""
    document = Problem.of(Refused(code, detail))
    return Response(document.encode(), document.status, dict(headers or {}), KIND)


def _as_text(body: bytes) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _response(answer: dict[str, Any]) -> Response:
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body
    response = Response(content, answer["statusCode"])
    for name, value in (answer.get("headers") or {}).items():
        response.headers[name] = value
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        for value in values:
            response.headers.append(name, value)
    return response
