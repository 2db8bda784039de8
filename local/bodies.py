"""Bodies of requests on their way in, bounded in size and in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import Request

from anc.wire.refusal import Refused

LINGER_S = 2.0
CLOSE = {"Connection": "close"}  # with a refusal, or what was not read yet would be read for ever


async def pieces(request: Request, most: int, within_s: float) -> AsyncIterator[bytes]:
    """Yield a body as it comes.

    Raises
    ------
    Refused
        `too_large` for a body of more than `most` bytes, be it announced or not; `too_slow` for one that is
        not whole within so many seconds.
    ClientDisconnect
        When it ends in the middle.
    """
    stream, received = request.stream(), 0
    announced = request.headers.get("content-length", "")
    try:
        async with asyncio.timeout(within_s):
            if not (announced.isdigit() and int(announced) > most):
                async for piece in stream:
                    received += len(piece)
                    if received > most:
                        break
                    yield piece
                else:
                    return
    except TimeoutError as fault:
        raise Refused("too_slow", f"body: not whole within {within_s:g} s") from fault
    await _linger(stream)
    raise Refused("too_large", f"body: at most {most:,} bytes")


async def _linger(stream: AsyncIterator[bytes]) -> None:
    """Read on for a moment: many a client hears nothing before all is sent."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            async for _ in stream:
                pass
