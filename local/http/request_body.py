"""Request bodies with limits on size, transfer time, and bytes held in memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from starlette.requests import ClientDisconnect, Request

from anc.schemas.refusal import Refused, refuse

DISCARD_TIMEOUT_S = 2.0
CLOSE_HEADERS = {"Connection": "close"}  # for a refusal before the end of the body
TRANSFER_GRACE_S, MIN_BYTES_PER_S = 20.0, 16 * 1024  # minimum transfer rate after a grace period
MAX_TOTAL_BYTES, MAX_CALLER_BYTES = 96 * 1024**2, 24 * 1024**2  # held in memory
RETRY_AFTER_S = 2
AUTHORISED = "anc.authorised"  # key in a request's scope, set once its token or signed link is verified


def transfer_timeout_s(size: int) -> float:
    """Return the seconds allowed for transferring so many bytes."""
    return TRANSFER_GRACE_S + size / MIN_BYTES_PER_S


class RequestBody:
    """The body of a request, read as it arrives.

    Parameters
    ----------
    request : Request
    max_bytes : int
        Maximum size in bytes.
    """

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._receive = request.receive
        self._max_bytes = max_bytes
        content_length = request.headers.get("content-length", "")
        self._content_length = (
            int(content_length) if content_length.isascii() and content_length.isdecimal() else None
        )
        self._more = self._content_length is not None or "transfer-encoding" in request.headers

    @property
    def size_to_reserve(self) -> int:
        """Bytes to reserve: the content length, or the maximum size when it is unknown."""
        if not self._more:
            return 0
        return self._max_bytes if self._content_length is None else self._content_length

    def check_size(self) -> None:
        """Raise Refused, `too_large`, when the content length exceeds the limit."""
        if self.size_to_reserve > self._max_bytes:
            self._refuse_size()

    async def read(self) -> bytes:
        """Return the whole body. Raises like `chunks`."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
        return bytes(body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises
        ------
        Refused
            `too_large`, also for chunked bodies; `too_slow` after `transfer_timeout_s`.
        ClientDisconnect
            When the connection ends before the body does.
        """
        self.check_size()
        received, within_s = 0, transfer_timeout_s(self.size_to_reserve)
        until = asyncio.get_running_loop().time() + within_s
        while self._more:
            try:
                async with asyncio.timeout_at(until):
                    chunk = await self._next()
            except TimeoutError as fault:
                raise Refused("too_slow", f"body must be complete within {within_s:.0f} s") from fault
            received += len(chunk)
            if received > self._max_bytes:
                self._refuse_size()
            yield chunk

    async def discard(self) -> bool:
        """Read and discard the rest, for at most `DISCARD_TIMEOUT_S`; return whether the body has ended.

        Many clients do not read the response before they have sent the whole body.
        """
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(DISCARD_TIMEOUT_S):
                while self._more:
                    await self._next()
        return not self._more

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._more = message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk

    def _refuse_size(self) -> None:
        refuse("too_large", f"body must have at most {self._max_bytes:,} bytes")


class ByteBudget:
    """A limit on the bytes held at the same time. Use it from one event loop.

    Parameters
    ----------
    total, share : int
        Bytes for all callers together, and for one caller.
    """

    def __init__(self, total: int = MAX_TOTAL_BYTES, share: int = MAX_CALLER_BYTES) -> None:
        self._total, self._share = total, share
        self._held: Counter[str] = Counter()

    @contextmanager
    def hold(self, caller: str, size: int) -> Iterator[None]:
        """Reserve bytes for a caller while the context is open.

        Raises
        ------
        Refused
            `too_many` when the caller's share is used up, `overloaded` when the total is.
        """
        if self._held[caller] + size > self._share:
            used = f"{self._held[caller]:,} of {self._share:,} bytes"
            message = f"body: your other requests hold {used}; send fewer at once"
            raise Refused("too_many", message, wait_s=RETRY_AFTER_S)
        if self._held.total() + size > self._total:
            message = f"body: all {self._total:,} bytes for bodies are in use; try again in {RETRY_AFTER_S} s"
            raise Refused("overloaded", message, wait_s=RETRY_AFTER_S)
        self._held[caller] += size
        try:
            yield
        finally:
            self._held[caller] -= size
            if not self._held[caller]:
                del self._held[caller]
