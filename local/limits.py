"""How often one caller may call one endpoint, as API Gateway's throttles have it."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from functions.routes import RestRoute


class Limits:
    """Counts the calls of a minute, by endpoint and caller; the minute begins with the first of them.

    One number for each, and not the time of every call: that would cost more than most calls do.

    Parameters
    ----------
    scale : float
        Multiplies what the table of routes allows; `Settings.rate_limit_scale`.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._calls = FixedWindowRateLimiter(MemoryStorage())

    def wait_s(self, route: RestRoute, caller: str) -> int:
        """Note a call; return after how many seconds the caller may come again, 0 if it may go on now."""
        allowed = RateLimitItemPerMinute(max(1, round(route.per_minute * self._scale)))
        names = (route.method, route.path, caller)
        if self._calls.hit(allowed, *names):
            return 0
        reset = self._calls.get_window_stats(allowed, *names).reset_time
        return max(1, math.ceil(reset - time.time()))
