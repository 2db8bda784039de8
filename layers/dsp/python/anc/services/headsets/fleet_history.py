"""The attenuation of the fleet from day to day, which the index does not keep: it knows the present only.

The first minute of each day (UTC) records the distributions of the overview, so the history costs one record
and some thirty queries of the index a day, whatever the size of the fleet.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from anc.fleet_records import GROUP_FIELDS, FleetDay, FleetQuery
from anc.lifetimes import DAY_S
from anc.ports import Conflict, Dependencies

GROUP = "days"
MAX_DAYS = 366
LIFETIME_S = (MAX_DAYS + 1) * DAY_S
PAGE = 100


def record_day(deps: Dependencies) -> None:
    """Record the fleet of today, unless that was done. Called every minute; never fails its caller."""
    with deps.best_effort("", "recording the day of the fleet"):
        today = date_of(deps.clock())
        if deps.fleet_cache.read("fleet_days", today, deps.fleet_days.get) is None:
            with suppress(Conflict):  # of another call in the same minute
                deps.fleet_days.put(snapshot(deps.clock(), deps))
            deps.fleet_cache.invalidate("fleet_days", today)


def snapshot(at: float, deps: Dependencies) -> FleetDay:
    """Return the present fleet as the record of a day."""
    index, everything = deps.fleet_index, FleetQuery()
    return FleetDay(
        key=date_of(at),
        group=GROUP,
        expires=at + LIFETIME_S,
        at=at,
        headsets=index.count(everything),
        attenuation=index.distribution(everything),
        groups={field: tuple(index.groups(everything, field)) for field in GROUP_FIELDS},
    )


def history(days: int, deps: Dependencies) -> Sequence[FleetDay]:
    """Return the recorded days among the last `days`, which are at most `MAX_DAYS`, oldest first."""
    found: list[FleetDay] = []
    after = date_of(deps.clock() - days * DAY_S)
    while page := deps.fleet_days.list(GROUP, PAGE, after):
        found += page
        after = page[-1].key
    return found


def date_of(at: float) -> str:
    """Return the date of a time in UTC, such as 2026-11-30."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()
