"""A cache of what many requests read and what rarely changes: accounts, API keys, fleet statistics."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ReadCache:
    """Cache of what was read within the last `ttl_s` seconds, including absent records. Thread-safe.

    A write of this process is visible at once if the writer calls `invalidate`. A write of another process is
    visible after at most `ttl_s`. The cache holds at most `max_records`.
    """

    TTL_S = 5.0
    MAX_RECORDS = 10_000

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        ttl_s: float = TTL_S,
        max_records: int | None = None,
    ) -> None:
        # Wall-clock time: a monotonic clock may stop while a Lambda container is frozen.
        self._clock = clock
        self._ttl_s = ttl_s
        self._max_records = max_records or self.MAX_RECORDS
        self._lock = threading.Lock()
        self._records: dict[tuple[str, str], tuple[Any, float]] = {}
        self._writes = 0

    def read(self, kind: str, key: str, get: Callable[[str], T | None]) -> T | None:
        """Return `get(key)`, cached for up to `ttl_s`. `kind` names the table."""
        with self._lock:
            record, expires = self._records.get((kind, key), (None, 0.0))
            if self._clock() < expires:
                return record
            writes = self._writes
        record = get(key)
        with self._lock:
            if writes == self._writes:  # otherwise the record may have been read before that write
                if len(self._records) >= self._max_records:
                    self._records.clear()
                self._records[kind, key] = record, self._clock() + self._ttl_s
        return record

    def invalidate(self, kind: str, key: str) -> None:
        """Remove a record from the cache. Call it after each write of the record."""
        with self._lock:
            self._writes += 1
            self._records.pop((kind, key), None)
