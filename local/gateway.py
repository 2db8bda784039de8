"""API Gateway on this machine: REST and WebSocket on one port, real events to the real handlers."""

import asyncio
import base64
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import msgspec
from aws_lambda_powertools import Logger
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from anc.ports import Gone
from anc.wire.problem import KIND, Problem
from anc.wire.refusal import Refused
from anc.wire.websocket import FRAME_LIMIT
from functions.routes import REST, SOCKET, RestRoute
from local.events import authorizer_event, method_arn, rest_event, socket_event
from local.limits import Limits

Invoke = Callable[[str, dict[str, Any]], Any]
BODY_LIMIT = 10 * 1024 * 1024
IDLE_S = 600.0
LIFE_S = 7200.0
HANDLER_THREADS = 8
POST_TIMEOUT_S = 5.0
_BEARER = {"WWW-Authenticate": "Bearer"}
UNSUPPORTED, POLICY, TOO_BIG, GOING_AWAY = 1003, 1008, 1009, 1001

logger = Logger(service="gateway")


class LocalSockets:
    """`anc.ports.Sockets` on the sockets that this process holds."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[asyncio.AbstractEventLoop, WebSocket]] = {}

    def opened(self, connection: str, socket: WebSocket) -> None:
        """Note a socket; call in its event loop."""
        self._open[connection] = (asyncio.get_running_loop(), socket)

    def closed(self, connection: str) -> None:
        """Forget a socket."""
        self._open.pop(connection, None)

    def post(self, connection: str, text: str) -> None:
        """See `anc.ports.Sockets`."""
        if connection not in self._open:
            raise Gone(connection)
        loop, socket = self._open[connection]
        sending = asyncio.run_coroutine_threadsafe(socket.send_text(text), loop)
        try:
            sending.result(POST_TIMEOUT_S)
        except (RuntimeError, WebSocketDisconnect, TimeoutError) as fault:
            sending.cancel()
            raise Gone(connection) from fault


class Gateway:
    """The ASGI application.

    Parameters
    ----------
    invoke : callable
        `invoke(function, event)` calls a function's handler and returns its answer.
    sockets : LocalSockets
    extra : list of Route
        Routes that only this edition has: the issuer's keys, the console.
    limits : Limits
        How often a caller may call.
    """

    def __init__(
        self, invoke: Invoke, sockets: LocalSockets, extra: list[Route], limits: Limits | None = None
    ) -> None:
        self._invoke_now = invoke
        self._sockets = sockets
        self._threads = ThreadPoolExecutor(HANDLER_THREADS, thread_name_prefix="handler")
        self._limits = limits or Limits()
        paths: dict[str, dict[str, RestRoute]] = {}
        for entry in REST:
            paths.setdefault(entry.path, {})[entry.method] = entry
        routes = [Route(path, self._endpoint(entries), methods=[*entries]) for path, entries in paths.items()]
        self.app = Starlette(
            routes=[*routes, *extra, WebSocketRoute("/ws", self._socket)],
            exception_handlers={HTTPException: _nothing_here},
        )

    async def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._invoke_now, function, event)

    async def _authorize(self, arn: str, headers: Mapping[str, str]) -> dict[str, str] | None:
        try:
            policy = await self._invoke("authorizer", authorizer_event(arn, headers))
        except Exception as fault:
            if str(fault) != "Unauthorized":
                logger.exception("the authorizer failed")
            return None
        return {"principalId": policy["principalId"], **policy["context"]}

    def _endpoint(self, entries: Mapping[str, RestRoute]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            entry = entries.get(request.method)
            if entry is None:  # HEAD, which comes with every GET
                raise HTTPException(405, headers={"Allow": ", ".join(entries)})
            headers = dict(request.headers)
            authorizer: dict[str, str] = {}
            caller = address = request.client.host if request.client else ""
            if not entry.public:
                allowed = await self._authorize(method_arn(entry.method, request.url.path), headers)
                if allowed is None:
                    return _problem("unauthorized", "token: missing, expired or not ours", _BEARER)
                authorizer = allowed
                caller = "user:" + authorizer["principalId"]
            wait_s = self._limits.wait_s(entry, caller)
            if wait_s:
                detail = f"requests: at most {entry.per_minute} a minute; come again in {wait_s} s"
                return _problem("too_many", detail, {"Retry-After": str(wait_s)})
            body = await _read(request)
            if body is None:
                return _problem("too_large", f"body: at most {BODY_LIMIT:,} bytes")
            text, is_base64 = _as_text(body)
            event = rest_event(
                entry.method,
                entry.path,
                request.url.path,
                {name: str(value) for name, value in request.path_params.items()},
                dict(request.query_params),
                headers,
                text,
                is_base64,
                authorizer,
                address,
            )
            try:
                answer = await self._invoke(entry.function, event)
            except Exception:
                logger.exception("the function failed", function=entry.function)
                return _problem("bad_gateway", "the function failed; its log says why")
            return _response(answer)

        return endpoint

    async def _socket(self, socket: WebSocket) -> None:
        headers = dict(socket.headers)
        authorizer = await self._authorize(method_arn("", "$connect"), headers)
        if authorizer is None:
            await socket.close(POLICY)  # before accepting: the client sees HTTP 403
            return
        connection, since = secrets.token_urlsafe(12), time.time()
        event = socket_event("CONNECT", "$connect", connection, since, authorizer, headers)
        answer = await self._invoke(SOCKET["$connect"], event)
        if answer["statusCode"] != 200:
            await socket.close(POLICY)
            return
        await socket.accept(answer.get("headers", {}).get("Sec-WebSocket-Protocol"))
        self._sockets.opened(connection, socket)
        try:
            await self._frames(socket, connection, since, authorizer)
        except WebSocketDisconnect:
            pass
        finally:
            self._sockets.closed(connection)
            gone = socket_event("DISCONNECT", "$disconnect", connection, since, authorizer)
            await self._invoke(SOCKET["$disconnect"], gone)

    async def _frames(
        self, socket: WebSocket, connection: str, since: float, authorizer: Mapping[str, str]
    ) -> None:
        while (left := min(IDLE_S, since + LIFE_S - time.time())) > 0:
            try:
                message = await asyncio.wait_for(socket.receive(), left)
            except TimeoutError:
                break
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("text")
            if frame is None:
                await socket.close(UNSUPPORTED, "text frames only")
                return
            if len(frame.encode()) > FRAME_LIMIT:
                await socket.close(TOO_BIG, f"a frame is {FRAME_LIMIT} bytes at most")
                return
            route = _route(frame)
            event = socket_event("MESSAGE", route, connection, since, authorizer, body=frame)
            await socket.send_text(await self._reply(SOCKET[route], event))
        await socket.close(GOING_AWAY, "idle for 10 minutes, or open for 2 hours")

    async def _reply(self, function: str, event: dict[str, Any]) -> str:
        try:
            return str((await self._invoke(function, event))["body"])
        except Exception:
            logger.exception("the function failed", function=function)
            context = event["requestContext"]
            failure = {
                "message": "Internal server error",
                "connectionId": context["connectionId"],
                "requestId": context["requestId"],
            }
            return msgspec.json.encode(failure).decode()


class _Action(msgspec.Struct):
    action: str = "$default"


def _route(frame: str) -> str:
    try:
        action = msgspec.json.decode(frame, type=_Action).action
    except (msgspec.DecodeError, RecursionError):
        return "$default"
    return action if action in SOCKET and not action.startswith("$") else "$default"


async def _read(request: Request) -> bytes | None:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return None
    return bytes(body)


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


async def _nothing_here(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    code = "method_not_allowed" if fault.status_code == HTTPStatus.METHOD_NOT_ALLOWED else "not_found"
    return _problem(code, f"path: there is nothing at {request.method} {request.url.path}", fault.headers)


def _problem(code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    problem = Problem.of(Refused(code, detail))
    return Response(problem.encode(), problem.status, dict(headers or {}), KIND)
