"""Token buckets: a rate limit per key that allows bursts."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class TokenBucket:
    """A bucket per key that holds up to `burst` tokens and gains `per_s` tokens per second. Thread-safe.

    Parameters
    ----------
    per_s, burst : float
    clock : callable
        Returns monotonic seconds.
    max_keys : int
        Maximum number of keys; the least recently used one is removed, which refills its bucket.
    """

    def __init__(
        self,
        per_s: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        max_keys: int = 10_000,
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, amount: float = 1.0) -> bool:
        """Take tokens if the bucket has enough, and return whether it had."""
        with self._lock:
            balance = self._balance(key)
            enough = balance >= amount
            self._store(key, balance - amount if enough else balance)
        return enough

    def charge(self, key: str, amount: float = 1.0) -> float:
        """Take tokens, going below zero if necessary, and return the seconds until the balance is zero."""
        with self._lock:
            balance = self._balance(key) - amount
            self._store(key, balance)
        return max(0.0, -balance / self._per_s)

    def full(self, key: str) -> bool:
        """Return whether a bucket is full."""
        with self._lock:
            return self._balance(key) >= self._burst

    def _balance(self, key: str) -> float:
        balance, at = self._buckets.get(key, (self._burst, self._clock()))
        return min(self._burst, balance + self._per_s * (self._clock() - at))

    def _store(self, key: str, balance: float) -> None:
        self._buckets[key] = (balance, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
