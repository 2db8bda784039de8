"""Thread pools with a fair queue per caller."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from anc.schemas.refusal import Refused

T = TypeVar("T")
RETRY_AFTER_S = 2


class FairThreadPool:
    """A thread pool with a bounded queue, served round-robin by caller. Use it from one event loop.

    Parameters
    ----------
    name : str
        Prefix of the threads' names.
    threads : int
    waiting : int
        Maximum number of waiting calls; a caller may have a quarter of them.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._max_waiting, self._max_waiting_per_caller = waiting, max(1, waiting // 4)
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def run(self, caller: str, do: Callable[..., T], *arguments: object) -> T:
        """Call `do(*arguments)` in a thread at the caller's turn; return its result.

        Raises
        ------
        Refused
            `too_many` when the caller has too many calls waiting, `overloaded` when the queue is full.
        """
        await self._turn(caller)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, do, *arguments)
        finally:
            self._next()

    async def _turn(self, caller: str) -> None:
        if self._free:
            self._free -= 1
            return
        own = self._queues.get(caller, ())
        if len(own) >= self._max_waiting_per_caller:
            raise Refused(
                "too_many",
                f"requests: {len(own)} of your requests are waiting; send fewer at once",
                wait_s=RETRY_AFTER_S,
            )
        waiting = sum(map(len, self._queues.values()))
        if waiting >= self._max_waiting:
            raise Refused(
                "overloaded",
                f"requests: {waiting} requests are waiting; try again in {RETRY_AFTER_S} s",
                wait_s=RETRY_AFTER_S,
            )
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next()
            raise

    def _next(self) -> None:
        """Pass the free thread to the caller that has waited longest for a turn."""
        while self._queues:
            caller, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[caller] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
