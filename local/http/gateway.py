"""A local API Gateway: REST and WebSocket on one port, with the same events to the same handlers."""

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from anc.lifetimes import HOUR_S, SOCKET_HOURS
from anc.ports import Gone
from anc.schemas.refusal import Refused
from functions.routes import SOCKET
from local.http.frames import GONE, Call, Frame, Frames, answer_call, close, failure
from local.http.rest import Authorizer, Invoke, RestApi, no_route, problem, response
from local.http.security_headers import SecurityHeaders
from local.http.turns import FairSemaphore
from local.lambda_events import handshake_event, socket_event
from local.live_workers import LiveWorkers, WorkerConnection, WorkerGone

IDLE_S = 600.0
LIFETIME_S = SOCKET_HOURS * HOUR_S
HANDLER_THREADS = 8
POST_TIMEOUT_S = 5.0
POLICY, GOING_AWAY = 1008, 1001
SIGNED_OUT = "your access was revoked or changed; sign in again"

logger = Logger(service="gateway")


class LocalSockets:
    """`anc.ports.Sockets` for the open WebSockets of this process."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[asyncio.AbstractEventLoop, WebSocket]] = {}

    def opened(self, connection: str, socket: WebSocket) -> None:
        """Register a socket; call it in the socket's event loop."""
        self._open[connection] = (asyncio.get_running_loop(), socket)

    def closed(self, connection: str) -> None:
        """Remove a socket."""
        self._open.pop(connection, None)

    def close(self, connection: str) -> None:
        """See `anc.ports.Sockets`. Does not wait for a slow client."""
        loop, socket = self._open.pop(connection, (None, None))
        if loop and socket:
            asyncio.run_coroutine_threadsafe(close(socket, POLICY, SIGNED_OUT), loop)

    def post(self, connection: str, text: str) -> None:
        """See `anc.ports.Sockets`."""
        loop, socket = self._open.get(connection, (None, None))
        if loop is None or socket is None:
            raise Gone(connection)
        sending = asyncio.run_coroutine_threadsafe(socket.send_text(text), loop)
        try:
            sending.result(POST_TIMEOUT_S)
        except (RuntimeError, WebSocketDisconnect, TimeoutError) as fault:
            sending.cancel()
            raise Gone(connection) from fault


def application(routes: list[BaseRoute], strict_transport: bool = True) -> SecurityHeaders:
    """Return the ASGI application with these routes, whose errors are problem documents."""
    app = Starlette(routes=routes, exception_handlers={HTTPException: no_route})
    app.router.redirect_slashes = False  # as in API Gateway
    return SecurityHeaders(app, strict_transport)


class Gateway:
    """The ASGI application.

    Parameters
    ----------
    invoke : callable
        `invoke(function, event)` calls a function's handler and returns its answer.
    sockets : LocalSockets
    extra : list of BaseRoute
        Routes that only the local platform has: the issuer's keys, the console.
    live : LiveWorkers, optional
        Processes that filter live blocks; without any, a thread of this process does.
    count : callable
        `count(event)` increments the counter of an event.
    strict_transport : bool
        See `SecurityHeaders`.
    """

    def __init__(
        self,
        invoke: Invoke,
        sockets: LocalSockets,
        extra: list[BaseRoute],
        live: LiveWorkers | None = None,
        count: Callable[[str], None] = lambda event: None,
        strict_transport: bool = True,
    ) -> None:
        self._invoke_now = invoke
        self._sockets = sockets
        self._threads = ThreadPoolExecutor(HANDLER_THREADS, thread_name_prefix="handler")
        self._live, self._count = live or LiveWorkers(), count
        # Used without workers. Two threads would be slower than one.
        self._blocks, self._turns = ThreadPoolExecutor(1, thread_name_prefix="blocks"), FairSemaphore(1)
        self._authorizer = Authorizer(invoke)
        rest = RestApi(invoke, self._authorizer)
        routes = [*rest.routes(), *extra, WebSocketRoute("/ws", self._socket)]
        self.app = application(routes, strict_transport)

    async def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        return await self._in_thread(self._invoke_now, function, event)

    async def _in_thread(self, do: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, do, *arguments)

    async def _socket(self, socket: WebSocket) -> None:
        headers = dict(socket.headers)
        try:
            authorizer = await self._in_thread(self._authorizer, handshake_event(headers))
        except Refused as refusal:
            with suppress(*GONE):  # the client disconnected
                await socket.send_denial_response(problem(refusal))
            return
        if authorizer is None:
            await close(socket, POLICY)  # before the accept, so the client gets HTTP 403
            return
        connection, since = secrets.token_urlsafe(12), time.time()
        event = socket_event("CONNECT", "$connect", connection, since, authorizer, headers)
        answer = await self._invoke(SOCKET["$connect"], event)
        if answer["statusCode"] == HTTPStatus.SERVICE_UNAVAILABLE:
            with suppress(*GONE):  # the client disconnected
                await socket.send_denial_response(response(answer))
            return
        if answer["statusCode"] != HTTPStatus.OK:
            await close(socket, POLICY)
            return
        try:
            with suppress(*GONE):  # the client disconnected; the first read reports it
                await socket.accept(answer.get("headers", {}).get("Sec-WebSocket-Protocol"))
                self._sockets.opened(connection, socket)
            with self._live.connection() as worker_connection:
                answer = partial(self._answer, connection, since, authorizer, worker_connection)
                frames = Frames(socket, answer, self._count)
                if await frames.serve(IDLE_S, since + LIFETIME_S):
                    await close(socket, GOING_AWAY, "idle for 10 minutes or open for 2 hours")
        finally:
            self._sockets.closed(connection)
            gone = socket_event("DISCONNECT", "$disconnect", connection, since, authorizer)
            await self._invoke(SOCKET["$disconnect"], gone)

    async def _answer(
        self,
        connection: str,
        since: float,
        authorizer: dict[str, str],
        worker_connection: WorkerConnection,
        frame: Frame,
    ) -> str:
        call = Call(connection, since, authorizer, frame)
        if not frame.session:
            return str(await self._in_thread(answer_call, call, self._invoke_now, self._count))
        try:
            answered = await worker_connection.answer(call)
        except WorkerGone:
            self._count("blocks_failed")
            return failure(call)
        if answered is not None:
            return answered
        await self._turns.take(authorizer["user"])
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._blocks, answer_call, call, self._invoke_now, self._count)
        finally:
            self._turns.give()
