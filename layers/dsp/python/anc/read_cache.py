"""A cache of records that every request needs and that rarely change: accounts and API keys."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ReadCache:
    """Cache of records read within the last `TTL_S` seconds, including absent ones. Thread-safe.

    A write of this process is visible at once if the writer calls `invalidate`. A write of another process is
    visible after at most `TTL_S`. The cache holds at most `MAX_RECORDS` records.
    """

    TTL_S = 5.0
    MAX_RECORDS = 10_000

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        # Wall-clock time: a monotonic clock may stop while a Lambda container is frozen.
        self._clock = clock
        self._lock = threading.Lock()
        self._records: dict[tuple[str, str], tuple[Any, float]] = {}
        self._writes = 0

    def read(self, kind: str, key: str, get: Callable[[str], T | None]) -> T | None:
        """Return `get(key)`, cached for up to `TTL_S`. `kind` names the table."""
        with self._lock:
            record, expires = self._records.get((kind, key), (None, 0.0))
            if self._clock() < expires:
                return record
            writes = self._writes
        record = get(key)
        with self._lock:
            if writes == self._writes:  # otherwise the record may have been read before that write
                if len(self._records) >= self.MAX_RECORDS:
                    self._records.clear()
                self._records[kind, key] = record, self._clock() + self.TTL_S
        return record

    def invalidate(self, kind: str, key: str) -> None:
        """Remove a record from the cache. Call it after each write of the record."""
        with self._lock:
            self._writes += 1
            self._records.pop((kind, key), None)
