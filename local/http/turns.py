"""A semaphore with a fair queue per caller."""

import asyncio
from collections import OrderedDict, deque


class FairSemaphore:
    """A semaphore whose waiters are served round-robin by caller. Use it from one event loop.

    A caller waits for at most one turn of each other caller, however many turns those request.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def is_free(self) -> bool:
        """Whether a slot can be taken without waiting."""
        return self._free > 0

    def waiting(self, caller: str | None = None) -> int:
        """Return the number of requests of a caller that wait, or of all callers."""
        if caller is None:
            return sum(map(len, self._waiting.values()))
        return len(self._waiting.get(caller, ()))

    async def take(self, caller: str) -> None:
        """Wait for a slot; the caller must return it with `give`."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Return a slot; it goes to the caller that has waited longest for a turn."""
        while self._waiting:
            caller, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[caller] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
