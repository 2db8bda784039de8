"""The REST API of the local API Gateway: the authorizer, and the same events to the same handlers."""

import base64
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from anc.ports import StorageUnavailable
from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused, refuse, token_not_checked
from functions.routes import REST, RestRoute, WorkKind
from local.http.request_body import AUTHORISED, CLOSE_HEADERS, ByteBudget, RequestBody
from local.http.thread_pools import FairThreadPool
from local.lambda_events import authorizer_event, rest_event

Invoke = Callable[[str, dict[str, Any]], Any]
# Threads and maximum number of waiting calls. Calls in `quick` are limited by the number of connections;
# `heavy` leaves a core for live blocks.
POOLS: dict[WorkKind, tuple[int, int]] = {
    "quick": (8, 4096),
    "heavy": (max(1, (os.cpu_count() or 1) // 2), 32),
    "secret": (2, 32),
}

logger = Logger(service="rest")


class Authorizer:
    """Call the authorizer function for every request and handshake.

    Results are not cached: a call takes 0.1 ms, and a revoked key is rejected at once.
    """

    def __init__(self, invoke: Invoke) -> None:
        self._invoke = invoke

    def __call__(self, event: dict[str, Any]) -> dict[str, str] | None:
        """Return the authorizer's context, or None when access is denied. Raises Refused: `unavailable`."""
        try:
            policy = self._invoke("authorizer", event)
        except StorageUnavailable as fault:
            raise fault.refusal() from fault
        except Exception as fault:
            if str(fault) == "Unauthorized":
                return None
            logger.exception("the authorizer failed")
            raise token_not_checked() from fault
        return {"principalId": policy["principalId"], **policy["context"]}


class RestApi:
    """The REST endpoints of `functions.routes`.

    Parameters
    ----------
    invoke : callable
        `invoke(function, event)` calls a function's handler and returns its answer.
    authorizer : Authorizer
    """

    def __init__(self, invoke: Invoke, authorizer: Authorizer) -> None:
        self._invoke = invoke
        self._authorizer = authorizer
        self._budget = ByteBudget()
        self._pools: dict[WorkKind, FairThreadPool] = {
            work: FairThreadPool(work, threads, waiting) for work, (threads, waiting) in POOLS.items()
        }

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        paths: dict[str, dict[str, RestRoute]] = {}
        for entry in REST:
            paths.setdefault(entry.path, {})[entry.method] = entry
        return [Route(path, self._endpoint(entries), methods=[*entries]) for path, entries in paths.items()]

    def _endpoint(self, entries: Mapping[str, RestRoute]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            entry = entries.get(request.method)
            if entry is None:  # HEAD, which Starlette adds to GET
                raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(entries)})
            body = RequestBody(request, entry.body_bytes)
            try:
                return await self._serve(entry, request, body)
            except Refused as refusal:
                return problem(refusal, {} if await body.discard() else CLOSE_HEADERS)
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)

        return endpoint

    async def _serve(self, entry: RestRoute, request: Request, body: RequestBody) -> Response:
        caller = request.client.host if request.client else ""
        authorizer: dict[str, str] = {}
        if not entry.public:
            authorizer = await self._pools["quick"].run(caller, self._authorise, entry, request)
            request.scope[AUTHORISED] = True
            caller = f"user {authorizer['principalId']}"
        body.check_size()
        with self._budget.hold(caller, body.size_to_reserve):
            sent = await body.read()
            answer = self._pools[entry.work].run(caller, self._answer, entry, request, sent, authorizer)
            return await answer

    def _authorise(self, entry: RestRoute, request: Request) -> dict[str, str]:
        event = authorizer_event(entry.method, request.scope["path"], dict(request.headers))
        return self._authorizer(event) or refuse("unauthorized", "token is missing, expired or invalid")

    def _answer(
        self, entry: RestRoute, request: Request, body: bytes, authorizer: Mapping[str, str]
    ) -> Response:
        text, is_base64 = _as_text(body)
        event = rest_event(
            entry.method,
            entry.path,
            request.scope["path"],  # request.url.path would drop line feeds
            {name: str(value) for name, value in request.path_params.items()},
            {name: request.query_params.getlist(name) for name in request.query_params},
            dict(request.headers),
            text,
            is_base64,
            authorizer,
            request.client.host if request.client else "",
        )
        try:
            return response(self._invoke(entry.function, event))
        except Exception:
            logger.exception("the function failed", function=entry.function)
            return problem(Refused("bad_gateway", "the function failed; see its log"))


async def no_route(request: Request, fault: Exception) -> Response:
    """Return a problem document for an unknown path or method."""
    assert isinstance(fault, HTTPException)
    code = "method_not_allowed" if fault.status_code == HTTPStatus.METHOD_NOT_ALLOWED else "not_found"
    message = f"path: {request.method} {request.scope['path']} does not exist"
    return problem(Refused(code, message), fault.headers)


def problem(refusal: Refused, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal as a problem document with its headers."""
    document = Problem.of(refusal)
    retry = {"Retry-After": str(refusal.wait_s)} if refusal.wait_s else {}
    challenge = {"WWW-Authenticate": "Bearer"} if document.status == HTTPStatus.UNAUTHORIZED else {}
    return Response(document.encode(), document.status, {**retry, **challenge, **(headers or {})}, KIND)


def _as_text(body: bytes) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def response(answer: dict[str, Any]) -> Response:
    """Return the HTTP response to a function's answer."""
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body
    made = Response(content, answer["statusCode"])
    for name, value in (answer.get("headers") or {}).items():
        made.headers[name] = value
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        for value in values:
            made.headers.append(name, value)
    return made
