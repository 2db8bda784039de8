"""Limits on request heads in size and time, and their error responses."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from socket import create_connection, socket
from threading import Thread
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from local.http.connection_limits import ConnectionLimiter
from local.http.http_limits import HEAD_TIMEOUT_S, MAX_HEAD_BYTES, BoundedHttp
from local.http.request_body import AUTHORISED, transfer_timeout_s
from tests.processes import PATIENCE_S

Exchange = Callable[..., bytes]
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def echo(request: Request) -> JSONResponse:
    """Respond with the received body; no response to an incomplete one."""
    request.scope[AUTHORISED] = "x-authorised" in request.headers
    with suppress(ClientDisconnect):
        body = await request.body()
        return JSONResponse({"headers": dict(request.headers), "bytes": len(body)})
    return JSONResponse({})


async def unread(request: Request) -> Response:
    """Respond without reading the body."""
    return Response(b"no")


async def large(request: Request) -> Response:
    """Respond with more data than the system buffers for a client that does not read."""
    return Response(bytes(64 * 1024 * 1024))


async def repeat(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())


class Host(asyncio.SelectorEventLoop):
    """An event loop with a clock that the test advances, and a record of what the server received."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped_s = 0.0
        self._heard: SimpleQueue[tuple[int, bytes]] = SimpleQueue()

    def time(self) -> float:
        return super().time() + self._skipped_s

    def skip(self, seconds: float) -> None:
        def move_on() -> None:
            self._skipped_s += seconds

        self.call_soon_threadsafe(move_on)

    def note(self, transport: asyncio.BaseTransport, data: bytes) -> None:
        self._heard.put((transport.get_extra_info("peername")[1], data))

    def wait_until_heard(self, line: socket, data: bytes) -> None:
        while self._heard.get(timeout=PATIENCE_S) != (line.getsockname()[1], data):
            pass


class Overheard(BoundedHttp):
    """The protocol under test, reporting to the event loop what it receives."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.note(transport, b"")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.loop.note(self.transport, data)  # type: ignore[attr-defined]


@contextmanager
def serving(connections: ConnectionLimiter) -> Iterator[tuple[Host, int]]:
    """Return a server's event loop and port."""
    host = Host()
    app = Starlette(
        routes=[
            Route("/", echo, methods=["GET", "POST"]),
            Route("/unread", unread, methods=["POST"]),
            Route("/large", large),
            WebSocketRoute("/ws", repeat),
        ],
    )
    http: Any = partial(Overheard, connections=connections)
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=http, lifespan="off", log_level="error"))
    thread = Thread(target=host.run_until_complete, args=(server.serve(),))
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield host, server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(PATIENCE_S)
    host.close()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Host, int]]:
    with serving(ConnectionLimiter(total=1000, per_address=1000)) as served:
        yield served


@pytest.fixture
def host(served: tuple[Host, int]) -> Host:
    return served[0]


@pytest.fixture
def port(served: tuple[Host, int]) -> int:
    return served[1]


@pytest.fixture
def exchange(port: int) -> Exchange:
    """Return `exchange(first, chunk)`, which sends both, `chunk` repeatedly, and returns the response."""

    def run(first: bytes, chunk: bytes = b"") -> bytes:
        return asyncio.run(asyncio.wait_for(_exchange(port, first, chunk), PATIENCE_S))

    return run


async def _exchange(port: int, first: bytes, chunk: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(first)
        while chunk and not reader.at_eof():
            writer.write(chunk)
            await writer.drain()
        answer = await reader.read()
    except ConnectionError:
        pass  # the server closed the connection
    finally:
        writer.close()
    return answer


def document(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    found: dict[str, Any] = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {found['status']} ".encode())
    return found


ENDLESS = {
    "request line": (b"GET /?", b"a" * 4096),
    "header": (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", b"a" * 4096),
    "headers": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"x-a: aaaaaaaaaaaaaaaa\r\n" * 200),
    "chunk extension": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 4096),
    "trailer": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"x-a: a\r\n" * 500,
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_data_that_never_reaches_a_body_is_refused(exchange: Exchange, what: str) -> None:
    exchange(*ENDLESS[what])  # comes to an end


def test_a_head_that_is_too_large_is_refused_with_its_limit(exchange: Exchange) -> None:
    for head in (
        b"GET /?" + bytes(b"a" * MAX_HEAD_BYTES) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + bytes(b"a" * MAX_HEAD_BYTES) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"x: y\r\n" * (MAX_HEAD_BYTES // 6) + b"\r\n",
    ):
        refusal = document(exchange(head))
        assert (refusal["status"], refusal["code"]) == (431, "head_too_large")
        assert "16,384 bytes" in refusal["detail"]


def test_a_request_that_is_not_http_gets_a_problem_document(exchange: Exchange) -> None:
    refusal = document(exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
    assert (refusal["status"], refusal["code"]) == (400, "bad_request")


def rest_of(line: socket) -> bytes:
    with line.makefile("rb") as answer:
        return answer.read()


def test_a_head_that_is_not_complete_in_time_is_refused(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(HALF)
        host.wait_until_heard(line, HALF)
        host.skip(HEAD_TIMEOUT_S)
        assert document(rest_of(line))["code"] == "too_slow"


def test_a_silent_connection_is_closed_without_a_response(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        host.wait_until_heard(line, b"")
        host.skip(HEAD_TIMEOUT_S)
        assert rest_of(line) == b""


def test_each_head_on_a_connection_has_its_own_timeout(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        host.wait_until_heard(line, b"")
        host.skip(0.9 * HEAD_TIMEOUT_S)
        for _ in range(2):  # the second is whole when the time of the first would have been over
            line.sendall(HALF)
            host.wait_until_heard(line, HALF)
            host.skip(0.05 * HEAD_TIMEOUT_S)
            line.sendall(b"\r\n")
            answer = b""
            while not answer.endswith(b'"bytes":0}'):
                answer += line.recv(65_536) or pytest.fail("connection closed")
            host.skip(0.05 * HEAD_TIMEOUT_S)
        line.sendall(HALF)
        host.wait_until_heard(line, HALF)
        host.skip(HEAD_TIMEOUT_S)
        assert document(rest_of(line))["code"] == "too_slow"


POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"


def test_a_body_has_its_own_timeout(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(POST)
        host.wait_until_heard(line, POST)
        for part in (b"ab", b"cd"):
            host.skip(2 * HEAD_TIMEOUT_S)
            line.sendall(part)
            host.wait_until_heard(line, part)
        assert rest_of(line).endswith(b'"bytes":4}')


def test_the_rest_of_a_body_is_not_awaited_after_the_response(port: int, host: Host) -> None:
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(head)
        answer = b""
        while not answer.endswith(b"no"):
            answer += line.recv(65_536) or pytest.fail("connection closed")
        line.sendall(b"a")
        host.wait_until_heard(line, b"a")
        host.skip(0.9 * HEAD_TIMEOUT_S)
        line.sendall(b"b")
        host.wait_until_heard(line, b"b")
        host.skip(0.1 * HEAD_TIMEOUT_S)
        assert rest_of(line) == b""


def test_a_client_that_does_not_read_the_response_is_disconnected(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        line.recv(1)  # it is being answered
        host.skip(transfer_timeout_s(64 * 1024 * 1024))
        with suppress(ConnectionError):
            assert len(rest_of(line)) < 64 * 1024 * 1024


def test_an_idle_connection_is_closed_when_the_limit_is_reached() -> None:
    """A connection with an unauthorised body counts as idle, one with an authorised body does not."""
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n%s\r\na"
    trusted = body % b"X-Authorised: yes\r\n"
    with ExitStack() as stack:
        host, port = stack.enter_context(serving(ConnectionLimiter(total=4, per_address=4)))

        def connected(sent: bytes) -> socket:
            line = stack.enter_context(create_connection(("127.0.0.1", port), PATIENCE_S))
            line.sendall(sent)
            host.wait_until_heard(line, sent)
            return line

        in_use, *strangers = [connected(sent) for sent in (trusted, HALF, body % b"", b"")]
        for stranger in strangers:
            connected(trusted)
            assert rest_of(stranger) == b""
        refused = stack.enter_context(create_connection(("127.0.0.1", port), PATIENCE_S))
        answer = rest_of(refused)
        assert document(answer)["code"] == "overloaded"
        assert b"retry-after: " in answer
        in_use.sendall(b"b")
        answer = b""
        while not answer.endswith(b'"bytes":2}'):
            answer += in_use.recv(65_536) or pytest.fail("connection closed")


def test_the_head_limit_applies_to_each_request_of_a_connection(exchange: Exchange) -> None:
    padded = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 10_000 + b"\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange(padded * 5 + last).count(b"HTTP/1.1 200 OK") == 6
    long = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n" + bytes(
        10**6
    )
    assert exchange(long).endswith(b'"bytes":1000000}')


def test_trailers_are_not_headers(exchange: Exchange) -> None:
    answer = exchange(
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n0\r\nAuthorization: Bearer late\r\n\r\n"
    )
    assert answer.endswith(b'"bytes":1}')
    assert b"authorization" not in answer


def test_a_websocket_outlives_the_head_timeout(port: int, host: Host) -> None:
    with (
        connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as line,
        create_connection(("127.0.0.1", port), PATIENCE_S) as later,
    ):
        host.wait_until_heard(later, b"")
        host.skip(HEAD_TIMEOUT_S)
        assert rest_of(later) == b"", "the later connection has timed out"
        line.send("still here")
        assert line.recv(PATIENCE_S) == "still here"
