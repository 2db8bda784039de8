"""A range of time that ends in the present or the past, in intervals of equal length."""

import math
from typing import NamedTuple, Self

from anc.lifetimes import DAY_S
from anc.schemas.refusal import refuse


class TimeRange(NamedTuple):
    """Times in seconds since the epoch, and the length of an interval.

    Attributes
    ----------
    since, until : float
        Inclusive and exclusive.
    step_s : float
    """

    since: float
    until: float
    step_s: float

    @classmethod
    def within(cls, kept_s: float, now: float, since: float, until: float | None, intervals: int) -> Self:
        """Return a range that begins when data is kept, at the earliest; without `until`, it ends now.

        Raises
        ------
        Refused
            `bad_field` if it would be empty.
        """
        until, since = now if until is None else until, max(since, now - kept_s)
        if until <= since:
            days = f"the last {kept_s / DAY_S:.0f} days"
            refuse("bad_field", f"until: must be after since and within {days} (got {until:.0f})")
        return cls(since, until, (until - since) / intervals)

    def aligned(self, unit_s: float) -> Self:
        """Return a range that covers this one, of intervals of whole units that begin at their multiples."""
        step_s = math.ceil(self.step_s / unit_s) * unit_s
        since, until = math.floor(self.since / step_s) * step_s, math.ceil(self.until / step_s) * step_s
        return type(self)(since, until, step_s)

    def interval_of(self, at: float) -> int:
        """Return the number of the interval of a time in the range, from 0."""
        return int((at - self.since) // self.step_s)

    def begin_of(self, interval: int) -> float:
        """Return when an interval begins."""
        return round(self.since + interval * self.step_s, 3)
