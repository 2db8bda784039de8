"""How often one caller may call one endpoint, as API Gateway's throttles have it."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from functions.routes import RestRoute


class Limits:
    """Counts the calls of the last minute, by endpoint and caller.

    Parameters
    ----------
    scale : float
        Multiplies what the table of routes allows; `Settings.rate_limit_scale`.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._calls = MovingWindowRateLimiter(MemoryStorage())

    def wait_s(self, route: RestRoute, caller: str) -> int:
        """Note a call; return after how many seconds the caller may come again, 0 if it may go on now."""
        allowed = RateLimitItemPerMinute(max(1, round(route.per_minute * self._scale)))
        names = (route.method, route.path, caller)
        if self._calls.hit(allowed, *names):
            return 0
        reset = self._calls.get_window_stats(allowed, *names).reset_time
        return max(1, math.ceil(reset - time.time()))
