"""How fast headsets may publish on one machine: slowed down first, cut off if they do not stop."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic

from anc.token_bucket import TokenBucket

BURST_S = 10.0  # of either limit may come at once
MOST_DELAYED = 300  # messages, one after the other, after which a headset is cut off
LONGEST_DELAY_S = 10.0
MOST_THINGS = 10_000


class MessageRates:
    """Holds each headset to so many messages and bytes a second, whatever connection they come over.

    A message that comes too early delays what its headset publishes next: it is acknowledged late, and
    nothing more is read from the connection until then.

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
        self._messages = TokenBucket(messages_per_s, BURST_S * messages_per_s, clock, MOST_THINGS)
        self._bytes = TokenBucket(bytes_per_s, BURST_S * bytes_per_s, clock, MOST_THINGS)
        self._pause = pause
        self._delayed: OrderedDict[str, int] = OrderedDict()

    async def admit(self, thing: str, messages: int = 1, size: int = 0) -> bool:
        """Return when a headset's next message may be taken; False when it is to be cut off."""
        if self._messages.full(thing) and self._bytes.full(thing):
            self._delayed.pop(thing, None)
        wait_s = max(self._messages.charge(thing, messages), self._bytes.charge(thing, size))
        if wait_s == 0:
            return True
        self._delayed[thing] = self._delayed.get(thing, 0) + 1
        if len(self._delayed) > MOST_THINGS:
            self._delayed.popitem(last=False)
        if self._delayed[thing] > MOST_DELAYED or wait_s > LONGEST_DELAY_S:
            return False
        await self._pause(wait_s)
        return True
