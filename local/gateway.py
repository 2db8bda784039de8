"""API Gateway on this machine: REST and WebSocket on one port, real events to the real handlers."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from aws_lambda_powertools import Logger
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from anc.ports import Gone
from anc.wire.websocket import FRAME_LIMIT
from functions.routes import SOCKET
from local.events import method_arn, socket_event
from local.rest import Authorizer, Invoke, RestApi, nothing_here

IDLE_S = 600.0
LIFE_S = 7200.0
HANDLER_THREADS = 8
POST_TIMEOUT_S = 5.0
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
    extra : list of BaseRoute
        Routes that only this edition has: the issuer's keys, the console.
    """

    def __init__(self, invoke: Invoke, sockets: LocalSockets, extra: list[BaseRoute]) -> None:
        self._invoke_now = invoke
        self._sockets = sockets
        self._threads = ThreadPoolExecutor(HANDLER_THREADS, thread_name_prefix="handler")
        self._authorizer = Authorizer(invoke)
        rest = RestApi(invoke, self._threads, self._authorizer)
        self.app = Starlette(
            routes=[*rest.routes(), *extra, WebSocketRoute("/ws", self._socket)],
            exception_handlers={HTTPException: nothing_here},
        )
        self.app.router.redirect_slashes = False  # API Gateway takes a path as it stands

    async def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        return await self._in_thread(self._invoke_now, function, event)

    async def _in_thread(self, do: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, do, *arguments)

    async def _socket(self, socket: WebSocket) -> None:
        headers = dict(socket.headers)
        authorizer = await self._in_thread(self._authorizer.ask, method_arn("", "$connect"), headers)
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
