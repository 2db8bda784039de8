"""Slots that callers take in turn."""

import asyncio
from collections import OrderedDict, deque


class FairSemaphore:
    """So many slots at a time; who waits for one is served caller by caller. Use it from one event loop.

    However much one caller asks for, another one waits for no more than one turn of each.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, caller: str) -> None:
        """Return when it is the caller's turn; a slot is the caller's then, until it is given back."""
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
        """Give a slot back: it goes to the caller whose last turn is the longest ago."""
        while self._waiting:
            caller, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[caller] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
