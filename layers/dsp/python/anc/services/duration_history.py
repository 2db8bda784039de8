"""Number and durations of calls over time: percentiles within 2 %, from durations counted by bucket.

References
----------
Masson, Rim, Lee, DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees,
VLDB 2019.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from anc.ports import Dependencies, DurationCount
from anc.services.platform_metrics import PROCESSING
from anc.services.time_range import TimeRange

GROWTH = 1.04  # of the buckets: a value is within a factor of sqrt(1.04) of the middle of its bucket
SHORTEST_S = 1e-6
KEPT_S = 30 * 86_400.0
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
) -> PerformanceHistory | None:
    """Return the durations of live blocks, snapshots and REST requests over time, at most of 30 days.

    None if this platform keeps no durations: on AWS, CloudWatch does.

    Raises
    ------
    Refused
        `bad_field` if `until` is not after `since`.
    """
    times = TimeRange.within(KEPT_S, deps.clock(), since, until, intervals)
    counts = deps.counters.durations(times.since, times.until)
    return None if counts is None else PerformanceHistory(*times, _intervals(counts, times))


def _intervals(counts: Iterable[DurationCount], times: TimeRange) -> list[PerformanceInterval]:
    grouped: dict[int, dict[str, Counter[int]]] = {}
    for each in counts:
        operations = grouped.setdefault(times.interval_of(each.at), {})
        operations.setdefault(each.name, Counter())[each.bucket] += each.number
    return [
        PerformanceInterval(
            at=times.begin_of(number),
            operations={name: _durations(operations[name]) for name in PROCESSING if name in operations},
        )
        for number, operations in sorted(grouped.items())
    ]


def _durations(counts: Mapping[int, int]) -> IntervalDurations:
    return IntervalDurations(
        sum(counts.values()), *(float(f"{1000 * quantile_s(counts, q):.3g}") for q in QUANTILES)
    )
