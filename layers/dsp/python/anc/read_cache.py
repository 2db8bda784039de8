"""A cache of records that every request needs and that rarely change: accounts and API keys."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ReadCache:
    """Records read within the last `SECONDS`, absent ones included.

    A write of this process is visible at once, if the writer calls `forget`; one of another process after
    `SECONDS` at the latest. Holds at most `MAX_RECORDS` records.
    """

    SECONDS = 5.0
    MAX_RECORDS = 10_000

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock  # of the wall: a monotonic one may stand still while a Lambda container is frozen
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], tuple[Any, float]] = {}
        self._writes = 0

    def read(self, kind: str, key: str, get: Callable[[str], T | None]) -> T | None:
        """Return what `get(key)` returned not long ago, or returns now. `kind` names the table."""
        with self._lock:
            found, until = self._found.get((kind, key), (None, 0.0))
            if self._clock() < until:
                return found
            writes = self._writes
        found = get(key)
        with self._lock:
            if writes == self._writes:  # else it may have been read before that write
                if len(self._found) >= self.MAX_RECORDS:
                    self._found.clear()
                self._found[kind, key] = found, self._clock() + self.SECONDS
        return found

    def forget(self, kind: str, key: str) -> None:
        """Read a record again next time: call after each write of it."""
        with self._lock:
            self._writes += 1
            self._found.pop((kind, key), None)
