"""Thread pools with a fair queue per caller."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from anc.schemas.refusal import Refused
from local.http.turns import FairSemaphore

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
        self._turns = FairSemaphore(threads)
        self._max_waiting, self._max_waiting_per_caller = waiting, max(1, waiting // 4)

    async def run(self, caller: str, do: Callable[..., T], *arguments: object) -> T:
        """Call `do(*arguments)` in a thread at the caller's turn; return its result.

        Raises
        ------
        Refused
            `too_many` when the caller has too many calls waiting, `overloaded` when the queue is full.
        """
        if not self._turns.is_free:
            self._check_queue(caller)
        await self._turns.take(caller)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, do, *arguments)
        finally:
            self._turns.give()

    def _check_queue(self, caller: str) -> None:
        own, waiting = self._turns.waiting(caller), self._turns.waiting()
        if own >= self._max_waiting_per_caller:
            raise Refused(
                "too_many",
                f"requests: {own} of your requests are waiting; send fewer at once",
                wait_s=RETRY_AFTER_S,
            )
        if waiting >= self._max_waiting:
            raise Refused(
                "overloaded",
                f"requests: {waiting} requests are waiting; try again in {RETRY_AFTER_S} s",
                wait_s=RETRY_AFTER_S,
            )
