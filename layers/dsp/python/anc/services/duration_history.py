"""Number and durations of calls over time: percentiles within 2 %, from durations counted by bucket.

References
----------
Masson, Rim, Lee, DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees,
VLDB 2019.
"""

import math
from collections.abc import Mapping
from itertools import groupby
from typing import NamedTuple

from anc.lifetimes import DAY_S
from anc.ports import Dependencies, OperationDurations
from anc.services.time_range import TimeRange

GROWTH = 1.04  # of the buckets: a value is within a factor of sqrt(1.04) of the middle of its bucket
SHORTEST_S = 1e-6
KEPT_S = 30.0 * DAY_S
MINUTE_S, HOUR_S = 60, 3600
MINUTES_KEPT_S = 2 * DAY_S  # older times are known to the hour
QUANTILES = (0.5, 0.9, 0.99)


class IntervalDurations(NamedTuple):
    """Calls of one operation in an interval: their number, and percentiles in ms within 2 %."""

    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


class PerformanceInterval(NamedTuple):
    """Operations in an interval that begins at `at`, by name; one without a call is left out."""

    at: float
    operations: Mapping[str, IntervalDurations]


class PerformanceHistory(NamedTuple):
    """Intervals of `step_s` seconds, the oldest first; those without any call are left out."""

    since: float
    until: float
    step_s: float
    intervals: list[PerformanceInterval]


def bucket_of(seconds: float) -> int:
    """Return the number of the bucket of a duration: bucket k ends at `GROWTH ** k` seconds.

    >>> [bucket_of(seconds) for seconds in (0.0, 0.001, 1.0)]
    [-352, -176, 0]
    """
    return math.ceil(math.log(max(seconds, SHORTEST_S)) / math.log(GROWTH))


def quantile_s(counts: Mapping[int, int], q: float) -> float:
    """Return a quantile of durations, counted by bucket; at least one. The error is at most 2 %."""
    rank, below = q * (sum(counts.values()) - 1), 0
    for bucket in sorted(counts):
        below += counts[bucket]
        if below > rank:
            return 2 * float(GROWTH**bucket) / (1 + GROWTH)
    raise ValueError("counts: must have at least one duration")


def performance_history(
    deps: Dependencies, since: float, until: float | None, intervals: int
) -> PerformanceHistory:
    """Return the durations of live blocks, snapshots and REST requests over time, at most of 30 days.

    Intervals are extended to whole minutes, more than two days ago to whole hours, and begin at multiples of
    their length.

    Raises
    ------
    Refused
        `bad_field` if `until` is not after `since`.
    """
    now = deps.clock()
    times = TimeRange.within(KEPT_S, now, since, until, intervals)
    times = times.aligned(MINUTE_S if times.since >= now - MINUTES_KEPT_S else HOUR_S)
    found = groupby(deps.counters.durations(*times), lambda each: each.at)
    return PerformanceHistory(
        *times, [PerformanceInterval(at, {each.name: _in_ms(each) for each in of}) for at, of in found]
    )


def _in_ms(of: OperationDurations) -> IntervalDurations:
    return IntervalDurations(
        of.calls, *(float(f"{1000 * seconds:.3g}") for seconds in (of.p50_s, of.p90_s, of.p99_s))
    )
