"""Emergencies: written down, told to people, listed."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from anc.ports import Conflict, Dependencies
from anc.records import Alarm, Control, Emergency, Stream
from anc.services.access.identity import Caller
from anc.tables import Table

KEPT_S = 90 * 24 * 3600
LONGEST_S = 24 * 3600  # an alarm that goes on for longer is not called one any more

Source = TypeVar("Source", Stream, Control)


def flush_pending_emergency(source: Source, table: Table[Source], deps: Dependencies) -> Source:
    """Tell of the alarm that a stream or a headset has `untold`, and note that it was done.

    Who is interrupted in between leaves it untold, and whoever goes on with the record does it again: the
    event is written once; people may be told twice, but not never.

    Returns
    -------
    Stream or Control
        As it is stored.
    """
    if source.pending_emergency is None:
        return source
    publish(source.group, source.key, source.pending_emergency, deps)
    try:
        return table.put(source.replace(pending_emergency=None))
    except Conflict:  # somebody went on with it, and will tell again
        return source


def publish(owner: str, source: str, alarm: Alarm, deps: Dependencies) -> None:
    """Write down that an alarm opened a headset or a session, and tell those who want to know."""
    name = hashlib.sha256(source.encode()).hexdigest()[:8]
    event = Emergency(
        key=f"{int(alarm.at * 1000):014d}-{name}",
        group=owner,
        expires=alarm.at + KEPT_S,
        source=source,
        kind=alarm.kind,
        score=alarm.score,
        at=alarm.at,
    )
    try:
        deps.emergencies.put(event)
        deps.count("emergencies_raised")
    except Conflict:  # written before an interruption
        pass
    deps.alerts.publish(
        f"{alarm.kind} near a headset", f"{source} heard a {alarm.kind} and is open to the world"
    )


def list_own(caller: Caller, deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[Emergency]:
    """Return the caller's emergencies, the oldest first."""
    return deps.emergencies.list(caller.user, limit, after)


def list_active(caller: Caller, deps: Dependencies) -> Sequence[Emergency]:
    """Return the alarms that hold something of the caller's open now, the latest of each source."""
    after = f"{int((deps.clock() - LONGEST_S) * 1000):014d}"
    latest: dict[str, Emergency] = {}
    while page := list_own(caller, deps, after=after):
        latest |= {event.source: event for event in page}
        after = page[-1].key
    return [event for event in latest.values() if _holds(event.source, deps)]


def _holds(source: str, deps: Dependencies) -> bool:
    control = deps.controls.get(source)
    if control is not None:
        return deps.clock() < control.emergency_until
    stream = deps.streams.get(source)
    return stream is not None and stream.samples < stream.emergency_until * stream.rate
