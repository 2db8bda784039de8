"""Heads of requests: bounded in size and time, and refused in words."""

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
from local.http.http_limits import HEAD_LIMIT, HEAD_S, BoundedHttp
from local.http.request_body import AUTHORISED, time_for
from tests.processes import PATIENCE_S

Exchange = Callable[..., bytes]
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def echo(request: Request) -> JSONResponse:
    """Answer with what came; of a body that broke off, nobody hears."""
    request.scope[AUTHORISED] = "x-authorised" in request.headers
    with suppress(ClientDisconnect):
        body = await request.body()
        return JSONResponse({"headers": dict(request.headers), "bytes": len(body)})
    return JSONResponse({})


async def deaf(request: Request) -> Response:
    """Answer without reading the body."""
    return Response(b"no")


async def large(request: Request) -> Response:
    """Answer with more than the system holds for a client that does not read."""
    return Response(bytes(64 * 1024 * 1024))


async def repeat(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())


class Host(asyncio.SelectorEventLoop):
    """An event loop whose time can be moved on, and that tells what its server has heard from whom."""

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
    """The same, telling its loop of what comes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.note(transport, b"")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.loop.note(self.transport, data)  # type: ignore[attr-defined]


@contextmanager
def serving(connections: ConnectionLimiter) -> Iterator[tuple[Host, int]]:
    """Give a server's event loop, and its port."""
    host = Host()
    app = Starlette(
        routes=[
            Route("/", echo, methods=["GET", "POST"]),
            Route("/deaf", deaf, methods=["POST"]),
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
    with serving(ConnectionLimiter(total=1000, of_an_address=1000)) as served:
        yield served


@pytest.fixture
def host(served: tuple[Host, int]) -> Host:
    return served[0]


@pytest.fixture
def port(served: tuple[Host, int]) -> int:
    return served[1]


@pytest.fixture
def exchange(port: int) -> Exchange:
    """Give `exchange(first, piece)`: send, the piece for ever, and return what is answered until the end."""

    def run(first: bytes, piece: bytes = b"") -> bytes:
        return asyncio.run(asyncio.wait_for(_exchange(port, first, piece), PATIENCE_S))

    return run


async def _exchange(port: int, first: bytes, piece: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(first)
        while piece and not reader.at_eof():
            writer.write(piece)
            await writer.drain()
        answer = await reader.read()
    except ConnectionError:
        pass  # hung up in the middle of what was sent
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
def test_what_never_comes_to_a_body_is_cut_off(exchange: Exchange, what: str) -> None:
    exchange(*ENDLESS[what])  # comes to an end


def test_a_head_that_is_too_large_is_refused_by_its_limit(exchange: Exchange) -> None:
    for head in (
        b"GET /?" + bytes(b"a" * HEAD_LIMIT) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + bytes(b"a" * HEAD_LIMIT) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"x: y\r\n" * (HEAD_LIMIT // 6) + b"\r\n",
    ):
        refusal = document(exchange(head))
        assert (refusal["status"], refusal["code"]) == (431, "head_too_large")
        assert "16,384 bytes" in refusal["detail"]


def test_what_is_no_http_is_refused_in_words(exchange: Exchange) -> None:
    refusal = document(exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
    assert (refusal["status"], refusal["code"]) == (400, "bad_request")


def rest_of(line: socket) -> bytes:
    with line.makefile("rb") as answer:
        return answer.read()


def test_a_head_that_does_not_come_to_an_end_in_time_is_refused(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(HALF)
        host.wait_until_heard(line, HALF)
        host.skip(HEAD_S)
        assert document(rest_of(line))["code"] == "too_slow"


def test_who_says_nothing_hears_nothing_and_is_hung_up_on(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        host.wait_until_heard(line, b"")
        host.skip(HEAD_S)
        assert rest_of(line) == b""


def test_the_next_head_on_a_connection_has_its_own_time(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        host.wait_until_heard(line, b"")
        host.skip(0.9 * HEAD_S)
        for _ in range(2):  # the second is whole when the time of the first would have been over
            line.sendall(HALF)
            host.wait_until_heard(line, HALF)
            host.skip(0.05 * HEAD_S)
            line.sendall(b"\r\n")
            answer = b""
            while not answer.endswith(b'"bytes":0}'):
                answer += line.recv(65_536) or pytest.fail("hung up")
            host.skip(0.05 * HEAD_S)
        line.sendall(HALF)
        host.wait_until_heard(line, HALF)
        host.skip(HEAD_S)
        assert document(rest_of(line))["code"] == "too_slow"


POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"


def test_a_body_that_comes_after_its_head_has_its_own_time(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(POST)
        host.wait_until_heard(line, POST)
        for part in (b"ab", b"cd"):
            host.skip(2 * HEAD_S)
            line.sendall(part)
            host.wait_until_heard(line, part)
        assert rest_of(line).endswith(b'"bytes":4}')


def test_the_rest_of_a_body_that_was_answered_already_is_not_waited_for(port: int, host: Host) -> None:
    head = b"POST /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(head)
        answer = b""
        while not answer.endswith(b"no"):
            answer += line.recv(65_536) or pytest.fail("hung up")
        line.sendall(b"a")
        host.wait_until_heard(line, b"a")
        host.skip(0.9 * HEAD_S)
        line.sendall(b"b")
        host.wait_until_heard(line, b"b")
        host.skip(0.1 * HEAD_S)
        assert rest_of(line) == b""


def test_who_does_not_read_an_answer_is_hung_up_on(port: int, host: Host) -> None:
    with create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        line.recv(1)  # it is being answered
        host.skip(time_for(64 * 1024 * 1024))
        with suppress(ConnectionError):
            assert len(rest_of(line)) < 64 * 1024 * 1024


def test_who_waits_for_nothing_makes_room_when_connections_are_used_up() -> None:
    """As does who sends a body without having shown a token; who has shown one is left alone."""
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n%s\r\na"
    trusted = body % b"X-Authorised: yes\r\n"
    with ExitStack() as stack:
        host, port = stack.enter_context(serving(ConnectionLimiter(total=4, of_an_address=4)))

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
            answer += in_use.recv(65_536) or pytest.fail("hung up")


def test_requests_one_after_the_other_are_answered_however_many_bytes_they_are(exchange: Exchange) -> None:
    padded = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 10_000 + b"\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange(padded * 5 + last).count(b"HTTP/1.1 200 OK") == 6
    long = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n" + bytes(
        10**6
    )
    assert exchange(long).endswith(b'"bytes":1000000}')


def test_what_comes_behind_a_body_is_no_header(exchange: Exchange) -> None:
    answer = exchange(
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n0\r\nAuthorization: Bearer late\r\n\r\n"
    )
    assert answer.endswith(b'"bytes":1}')
    assert b"authorization" not in answer


def test_a_websocket_outlives_the_time_for_a_head(port: int, host: Host) -> None:
    with (
        connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as line,
        create_connection(("127.0.0.1", port), PATIENCE_S) as later,
    ):
        host.wait_until_heard(later, b"")
        host.skip(HEAD_S)
        assert rest_of(later) == b"", "who connected later is cut off by now"
        line.send("still here")
        assert line.recv(PATIENCE_S) == "still here"
