"""Rate limits for the messages of headsets: delayed first, then disconnected."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic

from anc.token_bucket import TokenBucket

BURST_S = 10.0  # burst size, in seconds of either limit
MAX_DELAYED = 300  # consecutive delayed messages after which a headset is disconnected
MAX_DELAY_S = 10.0
MAX_THINGS = 10_000


class MessageRates:
    """Limit the messages and bytes per second of each headset, across its connections.

    A message over the limit is delayed: it is acknowledged late, and nothing more is read from the connection
    until then.

    Parameters
    ----------
    messages_per_s, bytes_per_s : float
    clock : callable
        Seconds.
    pause : callable
        `await pause(seconds)`.
    """

    def __init__(
        self,
        messages_per_s: float,
        bytes_per_s: float,
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._messages = TokenBucket(messages_per_s, BURST_S * messages_per_s, clock, MAX_THINGS)
        self._bytes = TokenBucket(bytes_per_s, BURST_S * bytes_per_s, clock, MAX_THINGS)
        self._pause = pause
        self._delayed: OrderedDict[str, int] = OrderedDict()

    async def admit(self, thing: str, messages: int = 1, size: int = 0) -> bool:
        """Wait until a headset's next message may be processed; return False to disconnect it."""
        if self._messages.full(thing) and self._bytes.full(thing):
            self._delayed.pop(thing, None)
        wait_s = max(self._messages.charge(thing, messages), self._bytes.charge(thing, size))
        if wait_s == 0:
            return True
        self._delayed[thing] = self._delayed.get(thing, 0) + 1
        if len(self._delayed) > MAX_THINGS:
            self._delayed.popitem(last=False)
        if self._delayed[thing] > MAX_DELAYED or wait_s > MAX_DELAY_S:
            return False
        await self._pause(wait_s)
        return True
