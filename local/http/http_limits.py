"""HTTP/1.1 connections with limits on heads, on idle and stalled clients, and on their number."""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused
from functions.security_headers import SECURITY_HEADERS
from local.http.connection_limits import WAIT_S, ConnectionLimiter
from local.http.request_body import AUTHORISED, time_for

HEAD_LIMIT = 16 * 1024  # of what stands before a body; API Gateway takes 10,240 bytes
HEAD_S = 20.0


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 with limits on the size and time of heads, trailers, chunk extensions and unread answers.

    Uvicorn itself has none of these with httptools. Its `limit_concurrency` answers 503 but keeps the
    connection open, so the number of connections is limited here too.

    Parameters
    ----------
    connections : Connections
        All open connections of the server.
    """

    def __init__(self, *arguments: Any, connections: ConnectionLimiter, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open = connections
        self._fault = Refused("bad_request", "request: not HTTP/1.1")
        self._without_body = 0  # bytes since the last that belonged to a body, or ended a request
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._upgraded = False

    @property
    def address(self) -> str:
        """The client's address."""
        return self.client[0] if self.client else ""

    @property
    def gone(self) -> bool:
        """Whether it became a WebSocket that is closed: `connection_lost` is not called for those."""
        return self._upgraded and self.transport.is_closing()

    @property
    def idle(self) -> bool:
        """Whether it may be closed to make room: it waits for a request, or for an unauthorised body."""
        if self._upgraded:
            return False
        cycle = self.cycle
        return (
            cycle is None or cycle.response_complete or (cycle.more_body and not cycle.scope.get(AUTHORISED))
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request within `HEAD_S`, or refuse the connection when there is no room for it."""
        super().connection_made(transport)
        if self._open.opened(self):
            self._expect_head()
        else:
            said = f"connections: all are in use; try again in {WAIT_S} s"
            self._fault = Refused("overloaded", said, wait_s=WAIT_S)
            self.send_400_response("")

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._open.closed(self)
        self._expect_nothing()
        self.resume_writing()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close at once, unsent data included."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take the next bytes, and hang up when too many of them belong to no body."""
        self._without_body += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self._upgraded:
            return
        if self._without_body > HEAD_LIMIT:
            self._too_large()
            self.send_400_response("")
        elif self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()  # or the rest of a body whose request was answered already

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol."""
        self._upgraded = True
        super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        """Let a request in whose head is no larger than may be."""
        self._expect_nothing()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_LIMIT:
            raise self._too_large()  # the parser turns it into a request that is refused
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind a body is none."""
        if self.cycle is None or self.cycle.scope is not self.scope:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._without_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know that a request ended."""
        self._without_body = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Close the connection unless the client reads what it was sent in the time allowed for it."""
        super().pause_writing()
        if self._unread is None:
            within_s = time_for(self.transport.get_write_buffer_size())
            self._unread = self.loop.call_later(within_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the time limit: the client reads."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Say no as the rest of the platform does, and hang up."""
        document = Problem.of(self._fault)
        body = document.encode().encode()
        headers = dict(SECURITY_HEADERS)
        if self._fault.wait_s:
            headers["Retry-After"] = str(self._fault.wait_s)
        more = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
        head = (
            f"HTTP/1.1 {document.status} {HTTPStatus(document.status).phrase}\r\n"
            f"content-type: {KIND}\r\ncontent-length: {len(body)}\r\n{more}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _too_large(self) -> Refused:
        said = f"head: at most {HEAD_LIMIT:,} bytes of request line and headers"
        self._fault = Refused("head_too_large", said)
        return self._fault

    def _expect_head(self) -> None:
        self._late = self.loop.call_later(HEAD_S, self._too_late)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        if self.transport.is_closing():
            return
        if not self._without_body:  # a browser connects before it has anything to ask for
            self.transport.close()
            return
        self._fault = Refused("too_slow", f"head: not whole within {HEAD_S:g} s")
        self.send_400_response("")
