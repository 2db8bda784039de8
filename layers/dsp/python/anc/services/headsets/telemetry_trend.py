"""Telemetry of a headset over time: percentiles of all reports in each interval."""

from typing import NamedTuple

import numpy as np

from anc.ports import Dependencies
from anc.services.access.identity import Caller
from anc.services.headsets.telemetry import HISTORY_S, newest_records, reports_in
from anc.services.time_range import TimeRange

MAX_RECORDS = 10_000  # read for one answer: a month with a message every four minutes
PERCENTILES = (10, 50, 90)


class Interval(NamedTuple):
    """Reports of an interval: the attenuation and level are None without a measurement.

    Attributes
    ----------
    at : float
        Its beginning, seconds since the epoch.
    reports : int
    attenuation_p10_db, attenuation_median_db, attenuation_p90_db : float or None
        Percentiles of the reported attenuations, linearly interpolated.
    level_median_dbfs : float or None
    battery : float or None
        The lowest state of charge, 0 to 1.
    """

    at: float
    reports: int
    attenuation_p10_db: float | None
    attenuation_median_db: float | None
    attenuation_p90_db: float | None
    level_median_dbfs: float | None
    battery: float | None


class Trend(NamedTuple):
    """The intervals with reports between two times.

    Attributes
    ----------
    since, until, step_s : float
        Range, and length of an interval.
    complete_since : float
        From here on all reports are counted. Later than `since` if the headset sent more than are read.
    intervals : list of Interval
        The oldest first; intervals without a report are left out.
    """

    since: float
    until: float
    step_s: float
    complete_since: float
    intervals: list[Interval]


def trend(
    thing: str, caller: Caller, deps: Dependencies, since: float, until: float | None, intervals: int
) -> Trend:
    """Return the telemetry of a headset between two times, in so many intervals.

    Raises
    ------
    Refused
        `unknown_device`; `bad_field` if `until` is not after `since`.
    """
    times = TimeRange.within(HISTORY_S, deps.clock(), since, until, intervals)
    rows: list[list[float]] = []  # interval, attenuation, level, battery
    complete_since = times.since
    for number, record in enumerate(newest_records(thing, caller, deps, times.since)):
        if number == MAX_RECORDS:
            complete_since = min(record.at, times.until)
            break
        for at, report in reports_in(record):
            if times.since <= at < times.until:
                values = (report.attenuation_db, report.level_dbfs, report.battery)
                rows.append([times.interval_of(at), *(np.nan if v is None else v for v in values)])
    return Trend(*times, complete_since, _intervals(rows, times))


def _intervals(rows: list[list[float]], times: TimeRange) -> list[Interval]:
    if not rows:
        return []
    table = np.array(sorted(rows, key=lambda row: row[0]))
    numbers, starts = np.unique(table[:, 0], return_index=True)
    found = []
    for number, part in zip(numbers, np.split(table, starts[1:]), strict=True):
        attenuation, level, battery = (column[~np.isnan(column)] for column in part.T[1:])
        low, median, high = _percentiles(attenuation, PERCENTILES)
        found.append(
            Interval(
                at=times.begin_of(int(number)),
                reports=len(part),
                attenuation_p10_db=low,
                attenuation_median_db=median,
                attenuation_p90_db=high,
                level_median_dbfs=_percentiles(level, (50,))[0],
                battery=float(battery.min()) if battery.size else None,
            )
        )
    return found


def _percentiles(values: np.ndarray, at: tuple[int, ...]) -> list[float | None]:
    if not values.size:
        return [None] * len(at)
    return [round(float(value), 2) for value in np.percentile(values, at)]
