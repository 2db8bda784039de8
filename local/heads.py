"""Heads of requests on their way in, bounded in size and in time."""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from anc.wire.problem import KIND, Problem
from anc.wire.refusal import Refused

HEAD_LIMIT = 16 * 1024  # of what stands before a body; API Gateway takes 10,240 bytes
HEAD_S = 20.0


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 whose heads, trailers and chunk extensions end, in size and in time.

    Of these uvicorn takes as many bytes as come, whoever sends them, and waits for them for ever.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._fault = Refused("bad_request", "request: not HTTP/1.1")
        self._without_body = 0  # bytes since the last that belonged to a body, or ended a request
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request within `HEAD_S`."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes, and hang up when too many of them belong to no body."""
        self._without_body += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._without_body > HEAD_LIMIT:
            self._too_large()
            self.send_400_response("")
        elif self._without_body and self._late is None:
            self._expect_head()

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

    def send_400_response(self, msg: str) -> None:
        """Say no as the rest of the platform does, and hang up."""
        document = Problem.of(self._fault)
        body = document.encode().encode()
        head = (
            f"HTTP/1.1 {document.status} {HTTPStatus(document.status).phrase}\r\n"
            f"content-type: {KIND}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
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
