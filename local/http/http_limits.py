"""HTTP/1.1 with limits on request heads, idle and stalled clients, and the number of connections."""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused
from functions.security_headers import SECURITY_HEADERS
from local.http.connection_limits import RETRY_AFTER_S, ConnectionLimiter
from local.http.request_body import AUTHORISED, transfer_timeout_s

MAX_HEAD_BYTES = 16 * 1024  # request line and headers; API Gateway allows 10,240 bytes
HEAD_TIMEOUT_S = 20.0


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 with limits on heads, trailers, chunk extensions and unread responses, in size and time.

    Uvicorn has no such limits with httptools: `h11_max_incomplete_event_size` applies to h11 only,
    `limit_concurrency` responds with 503 but keeps the connection open.

    Parameters
    ----------
    connections : ConnectionLimiter
        All open connections of the server.
    """

    def __init__(self, *arguments: Any, connections: ConnectionLimiter, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open = connections
        self._fault = Refused("bad_request", "request must be HTTP/1.1")
        self._head_bytes = 0  # bytes since the last byte of a body or the end of a request
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._upgraded = False

    @property
    def address(self) -> str:
        """The client's address."""
        return self.client[0] if self.client else ""

    @property
    def gone(self) -> bool:
        """Whether it is a closed WebSocket, for which `connection_lost` is not called."""
        return self._upgraded and self.transport.is_closing()

    @property
    def idle(self) -> bool:
        """Whether it may be closed to make room: it waits for a request or an unauthorised body."""
        if self._upgraded:
            return False
        cycle = self.cycle
        return (
            cycle is None or cycle.response_complete or (cycle.more_body and not cycle.scope.get(AUTHORISED))
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the head timer, or refuse the connection when there are too many."""
        super().connection_made(transport)
        if self._open.opened(self):
            self._start_head_timer()
        else:
            message = f"connections: all connections are in use; try again in {RETRY_AFTER_S} s"
            self._fault = Refused("overloaded", message, wait_s=RETRY_AFTER_S)
            self.send_400_response("")

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers and unregister the connection."""
        self._open.closed(self)
        self._cancel_head_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def close_to_make_room(self) -> None:
        """Close the connection at once; unsent data is dropped."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Process data; close the connection when a head is too large."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self._upgraded:
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._too_large()
            self.send_400_response("")
        elif self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start_head_timer()  # also for the rest of a body after an early response

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol."""
        self._upgraded = True
        super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        """Accept a request if its head is not too large."""
        self._cancel_head_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            raise self._too_large()  # the parser then calls send_400_response
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; ignore trailers."""
        if self.cycle is None or self.cycle.scope is not self.scope:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Process a part of a body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Reset the size of the head after a request."""
        self._head_bytes = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Limit the time in which the client must read the response."""
        super().pause_writing()
        if self._write_timer is None:
            within_s = transfer_timeout_s(self.transport.get_write_buffer_size())
            self._write_timer = self.loop.call_later(within_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the time limit: the client reads again."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Send a problem document and close the connection."""
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
        message = f"head: request line and headers must have at most {MAX_HEAD_BYTES:,} bytes"
        self._fault = Refused("head_too_large", message)
        return self._fault

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._on_head_timeout)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_head_timeout(self) -> None:
        if self.transport.is_closing():
            return
        if not self._head_bytes:  # browsers open connections in advance
            self.transport.close()
            return
        self._fault = Refused("too_slow", f"head must be complete within {HEAD_TIMEOUT_S:g} s")
        self.send_400_response("")
