"""Token buckets: how much each caller may do, with room for a burst."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class TokenBucket:
    """A bucket for each key, which holds `burst` tokens and is filled with `per_s` of them every second.

    Parameters
    ----------
    per_s, burst : float
    clock : callable
        Seconds.
    max_keys : int
        Keys that are remembered; the one not used for longest is forgotten, and its bucket is full then.
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
        """Take tokens if there are as many, and return whether there were."""
        with self._lock:
            left = self._left(key)
            enough = left >= amount
            self._keep(key, left - amount if enough else left)
        return enough

    def charge(self, key: str, amount: float = 1.0) -> float:
        """Take tokens, also those that are not there yet; returns the seconds until they are."""
        with self._lock:
            left = self._left(key) - amount
            self._keep(key, left)
        return max(0.0, -left / self._per_s)

    def full(self, key: str) -> bool:
        """Return whether nothing is missing from a bucket."""
        with self._lock:
            return self._left(key) >= self._burst

    def _left(self, key: str) -> float:
        left, at = self._buckets.get(key, (self._burst, self._clock()))
        return min(self._burst, left + self._per_s * (self._clock() - at))

    def _keep(self, key: str, left: float) -> None:
        self._buckets[key] = (left, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
