"""How often each caller called what, in memory."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter


class MemoryLimits:
    """`anc.ports.Limits`: the minute begins with the first call.

    One number for each minute, and not the time of every call: that would cost more than most calls do.
    """

    def __init__(self) -> None:
        self._calls = FixedWindowRateLimiter(MemoryStorage())

    def wait_s(self, what: str, caller: str, per_minute: int) -> int:
        """See `Limits.wait_s`."""
        allowed = RateLimitItemPerMinute(per_minute)
        if self._calls.hit(allowed, what, caller):
            return 0
        reset = self._calls.get_window_stats(allowed, what, caller).reset_time
        return max(1, math.ceil(reset - time.time()))
