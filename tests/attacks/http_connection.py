"""A server of the local platform without a network: bytes of a client in, bytes of its responses out."""

import asyncio
import logging
import re
from functools import partial
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from uvicorn.server import ServerState

from functions.authorizer.handler import handler as authorizer
from functions.rest_api.handler import handler as rest_api
from local.http import console, gateway
from local.http.connection_limits import ConnectionLimiter
from local.http.http_limits import BoundedHttp
from local.http.signed_urls import SignedUrls
from local.http.transfers import Transfers
from local.lambda_context import LocalContext
from local.storage.objects import FileObjects
from tests.attacks.rest_samples import BODIES, QUERIES, SIGN_IN, method_and_path, start_and_rest
from tests.fakes import FakePlatform

ADMITTED = {"principalId": "alice", "context": {"user": "alice", "role": "admin", "key": "", "since": "2e9"}}
STATUS = re.compile(rb"HTTP/1.1 ([1-5]\d\d) ")
TURNS = 3  # of the event loop, after which a request that waits for its body has had its early refusal


class MalformedResponse(AssertionError):
    """Raised when the server answers with a status of its own failure, or with what is not HTTP."""


class Declined(Exception):
    """Raised when a request is answered with a status of 400 to 499, or not at all."""


class Unthreaded:
    """A thread pool that calls at once, because a change of threads takes longer than parsing."""

    async def run(self, caller: str, do: Any, *arguments: Any) -> Any:
        """See `local.http.thread_pools`."""
        return do(*arguments)


class Client(asyncio.Transport):
    """The client's end of a connection; keeps what the server writes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"peername": ("192.0.2.1", 50000), "sockname": ("192.0.2.2", 80)})
        self._loop, self._closing = loop, False
        self._protocol = asyncio.Protocol()
        self.received = bytearray()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Name the protocol that learns of the end."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def write(self, data: Any) -> None:
        """Keep what the server sends, until it closes."""
        if not self._closing:
            self.received += data

    def is_closing(self) -> bool:
        """Return whether the server or the client closed it."""
        return self._closing

    def close(self) -> None:
        """Close it, as a socket does: the protocol learns of it in the next turn."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None:
        """Do nothing: all data is there."""

    def resume_reading(self) -> None:
        """Do nothing: all data is there."""

    def get_write_buffer_size(self) -> int:
        """Return 0: the client reads at once."""
        return 0


class Responses:
    """Collects the statuses of responses."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        """Note a status."""
        self.statuses.append(self.parser.get_status_code())


def read(data: bytes) -> list[int]:
    """Return the statuses in what a server sent. Raises MalformedResponse."""
    responses = Responses()
    try:
        responses.parser.feed_data(data)
    except httptools.HttpParserError as fault:
        raise MalformedResponse(f"{fault}: {data[:200]!r}") from fault
    return responses.statuses


class HttpServer:
    """The gateway of one machine behind its HTTP parser, one connection for each input.

    Parameters
    ----------
    platform : FakePlatform
    token : str
        Of the user whose requests are changed.
    """

    def __init__(self, platform: FakePlatform, token: str) -> None:
        logging.getLogger("uvicorn.error").disabled = True
        self._deps, self._loop = platform.deps, asyncio.new_event_loop()
        self._token = token
        self._authorization = f"authorization: Bearer {token}\r\n".encode()
        objects = platform.deps.objects
        assert isinstance(objects, FileObjects)
        links = SignedUrls(b"secret", "http://testserver", platform.clock)
        transfers = Transfers(objects, links, lambda key: True)
        rest = gateway.RestApi(self._invoke, gateway.Authorizer(self._invoke))
        rest._pools = dict.fromkeys(rest._pools, Unthreaded())  # type: ignore[arg-type]
        app = gateway.application([*rest.routes(), *transfers.routes(), *console.routes()])
        self._config = uvicorn.Config(app, lifespan="off", access_log=False, log_config=None, ws="none")
        self._connect = partial(BoundedHttp, config=self._config, app_state={}, _loop=self._loop)

    def path(self, data: bytes) -> object:
        """Send a method and path in a request."""
        return self._exchange(self._head(b" ".join(method_and_path(data))) + b"\r\n")

    def query(self, data: bytes) -> object:
        """Send a path and query in a request."""
        return self._exchange(self._head(b"GET " + b"?".join(start_and_rest(data, b"?", QUERIES))) + b"\r\n")

    def header(self, data: bytes) -> object:
        """Send headers in a request."""
        lines = data.replace(b"\n", b"\r\n")
        start, body = SIGN_IN
        return self._exchange(b"%s HTTP/1.1\r\nhost: x\r\n%s\r\n%s" % (start, lines, body))

    def body(self, data: bytes) -> object:
        """Send a body, of its length or in chunks."""
        start, body = start_and_rest(data, b"\n", BODIES)
        head = self._head(start)
        if len(data) % 2:
            return self._exchange(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))
        chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        return self._exchange(head + b"transfer-encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n")

    def _head(self, start: bytes) -> bytes:
        return start + b" HTTP/1.1\r\nhost: x\r\n" + self._authorization

    def stream(self, data: bytes) -> object:
        """Send all bytes of a connection."""
        return self._exchange(data)

    def streams(self) -> list[bytes]:
        """Return what clients send: requests one after another, with and without bodies."""
        get = b"GET /api/users/me HTTP/1.1\r\nhost: x\r\n" + self._authorization + b"\r\n"
        post = b"POST /api/sessions HTTP/1.1\r\nhost: x\r\n" + self._authorization
        return [
            get + post + b"content-length: 2\r\n\r\n{}" + get,
            post + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\nx: y\r\n\r\n" + get,
            b"HEAD /health HTTP/1.0\r\n\r\n",
            b"PUT /objects/uploads/j1?expires=1&signature=a HTTP/1.1\r\ncontent-length: 4\r\n\r\nRIFF",
            b"POST /api/audio/analyze HTTP/1.1\r\nexpect: 100-continue\r\ncontent-type: audio/wav\r\n"
            + self._authorization
            + b"content-length: 4\r\n\r\nRIFF",
            b"GET /docs HTTP/1.1\r\nconnection: close\r\n\r\n",
        ]

    def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        if function == "rest_api":
            return rest_api(event, LocalContext(function), self._deps)
        if function == "authorizer":
            # Signatures take as long as all else; the headers of requests for other parts never change.
            known = event["headers"].get("authorization") == f"Bearer {self._token}"
            return ADMITTED if known else authorizer(event, LocalContext(function), self._deps)
        return {"statusCode": HTTPStatus.OK, "body": ""}  # sound has a command of its own

    def _exchange(self, data: bytes) -> list[int]:
        received = self._loop.run_until_complete(self._answer(data))
        # What answers HEAD has the length of a body, and none; only the client knows which response that is.
        statuses = [int(found) for found in STATUS.findall(received)] if b"HEAD" in data else read(received)
        highest = max(statuses, default=HTTPStatus.BAD_REQUEST)
        if highest >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise MalformedResponse(f"{statuses}")
        if highest >= HTTPStatus.BAD_REQUEST:
            raise Declined(statuses)
        return statuses

    async def _answer(self, data: bytes) -> bytes:
        state, client = ServerState(), Client(self._loop)
        protocol = self._connect(server_state=state, connections=ConnectionLimiter(8, 8))
        client.set_protocol(protocol)
        protocol.connection_made(client)
        protocol.data_received(data)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        while state.tasks:
            if protocol.cycle.more_body:  # it never comes
                break
            await asyncio.wait(state.tasks)
            await asyncio.sleep(0)
        client.close()
        await asyncio.sleep(0)
        if state.tasks:
            await asyncio.wait(state.tasks)
        return bytes(client.received)
