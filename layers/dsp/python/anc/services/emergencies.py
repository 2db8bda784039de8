"""Emergencies: store, publish and list them."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from anc.headset_records import Control
from anc.ports import Conflict, Dependencies
from anc.records import Alarm, Emergency, Stream
from anc.services.access.identity import Caller
from anc.tables import Table

EVENT_LIFETIME_S = 90 * 24 * 3600
MAX_ACTIVE_S = 24 * 3600  # an emergency that began earlier is no longer listed as active

Source = TypeVar("Source", Stream, Control)


def flush_pending_emergency(source: Source, table: Table[Source], deps: Dependencies) -> Source:
    """Publish the pending emergency of a session or headset, and clear it.

    When this is interrupted the emergency stays pending, and the next processing of the record publishes it
    again: the event is stored exactly once, and the alert is sent at least once.

    Returns
    -------
    Stream or Control
        The stored record.
    """
    if source.pending_emergency is None:
        return source
    publish(source.group, source.key, source.pending_emergency, deps)
    try:
        return table.put(source.replace(pending_emergency=None))
    except Conflict:  # another writer has the record, and publishes again
        return source


def publish(owner: str, source: str, alarm: Alarm, deps: Dependencies) -> None:
    """Store an emergency event of a session or headset, and alert the subscribers."""
    name = hashlib.sha256(source.encode()).hexdigest()[:8]
    event = Emergency(
        key=f"{int(alarm.at * 1000):014d}-{name}",
        group=owner,
        expires=alarm.at + EVENT_LIFETIME_S,
        source=source,
        kind=alarm.kind,
        score=alarm.score,
        at=alarm.at,
    )
    try:
        deps.emergencies.put(event)
        deps.count("emergencies_raised")
    except Conflict:  # stored before an interruption
        pass
    deps.alerts.publish(
        f"{alarm.kind} near a headset", f"{source} detected a {alarm.kind} and switched to transparency"
    )


def list_own(caller: Caller, deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[Emergency]:
    """Return the caller's emergencies, oldest first."""
    return deps.emergencies.list(caller.user, limit, after)


def list_active(caller: Caller, deps: Dependencies) -> Sequence[Emergency]:
    """Return the emergencies whose sources are still held in transparency, the latest of each source."""
    after = f"{int((deps.clock() - MAX_ACTIVE_S) * 1000):014d}"
    latest: dict[str, Emergency] = {}
    while page := list_own(caller, deps, after=after):
        latest |= {event.source: event for event in page}
        after = page[-1].key
    return [event for event in latest.values() if _is_held(event.source, deps)]


def _is_held(source: str, deps: Dependencies) -> bool:
    control = deps.controls.get(source)
    if control is not None:
        return deps.clock() < control.emergency_until
    stream = deps.streams.get(source)
    return stream is not None and stream.samples < stream.emergency_until * stream.rate
