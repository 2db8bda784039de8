"""Rate limits per caller and minute, in memory."""

import math
import threading
import time
from collections.abc import Callable

WINDOW_S = 60.0


class MemoryLimits:
    """`anc.ports.Limits` with fixed windows of a minute that start with the first call.

    Only the callers of the last minute take memory; expired windows are deleted at the next call.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        # (what, caller) -> (end of the window, amount), ordered by end.
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def wait_s(self, what: str, caller: str, per_minute: int, amount: int = 1) -> int:
        """See `Limits.wait_s`."""
        now, amount = (self._clock or time.time)(), min(amount, per_minute)
        with self._lock:
            self._remove_ended(now)
            end, used = self._windows.get((what, caller), (now + WINDOW_S, 0))
            if used + amount > per_minute:
                return max(1, math.ceil(end - now))
            self._windows[what, caller] = (end, used + amount)
        return 0

    def _remove_ended(self, now: float) -> None:
        while self._windows:
            first = next(iter(self._windows))
            if self._windows[first][0] > now:
                return
            del self._windows[first]
