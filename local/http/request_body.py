"""Request bodies: bounded in size, in time, and in how many bytes are held at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from starlette.requests import ClientDisconnect, Request

from anc.schemas.refusal import Refused, refuse

LINGER_S = 2.0
CLOSE = {"Connection": "close"}  # for a refusal whose request body was not read to its end
GRACE_S, SLOWEST = 20.0, 16 * 1024  # slowest transfer accepted: 16 KB/s after a grace period
TOTAL, SHARE = 96 * 1024**2, 24 * 1024**2  # bytes of bodies held in memory: all callers, one caller
WAIT_S = 2
AUTHORISED = "anc.authorised"  # key in a request's scope, set once its token or signed link is verified


def time_for(size: int) -> float:
    """Return the seconds allowed for transferring so many bytes."""
    return GRACE_S + size / SLOWEST


class RequestBody:
    """The body of a request, read as it arrives.

    Parameters
    ----------
    request : Request
    most : int
        Largest size accepted, in bytes.
    """

    def __init__(self, request: Request, most: int) -> None:
        self._receive = request.receive
        self._most = most
        announced = request.headers.get("content-length", "")
        self._announced = int(announced) if announced.isascii() and announced.isdecimal() else None
        self._more = self._announced is not None or "transfer-encoding" in request.headers

    @property
    def room(self) -> int:
        """Bytes to reserve for it: the announced size, or the limit when none is announced."""
        if not self._more:
            return 0
        return self._most if self._announced is None else self._announced

    def check_size(self) -> None:
        """Raise Refused, `too_large`, when the announced size exceeds the limit."""
        if self.room > self._most:
            self._refuse_size()

    async def read(self) -> bytes:
        """Return the whole body. Raises like `pieces`."""
        whole = bytearray()
        async for piece in self.pieces():
            whole += piece
        return bytes(whole)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises
        ------
        Refused
            `too_large`, whether announced or not; `too_slow` when incomplete after `time_for` its size.
        ClientDisconnect
            When the connection ends before the body does.
        """
        self.check_size()
        received, within_s = 0, time_for(self.room)
        until = asyncio.get_running_loop().time() + within_s
        while self._more:
            try:
                async with asyncio.timeout_at(until):
                    piece = await self._next()
            except TimeoutError as fault:
                raise Refused("too_slow", f"body: not whole within {within_s:.0f} s") from fault
            received += len(piece)
            if received > self._most:
                self._refuse_size()
            yield piece

    async def discard(self) -> bool:
        """Read the rest and drop it, for at most `LINGER_S`; return whether the body has ended.

        Many clients read no answer before they have sent everything.
        """
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(LINGER_S):
                while self._more:
                    await self._next()
        return not self._more

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece

    def _refuse_size(self) -> None:
        refuse("too_large", f"body: at most {self._most:,} bytes")


class ByteBudget:
    """A limit on the bytes held at the same time. Use it from one event loop.

    Parameters
    ----------
    total, share : int
        Bytes for all callers together, and for one caller.
    """

    def __init__(self, total: int = TOTAL, share: int = SHARE) -> None:
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
            said = f"body: your other requests hold {used}; send fewer at once"
            raise Refused("too_many", said, wait_s=WAIT_S)
        if self._held.total() + size > self._total:
            said = f"body: all {self._total:,} bytes for request bodies are in use; try again in {WAIT_S} s"
            raise Refused("overloaded", said, wait_s=WAIT_S)
        self._held[caller] += size
        try:
            yield
        finally:
            self._held[caller] -= size
            if not self._held[caller]:
                del self._held[caller]
