"""Emergencies: store, publish and list them; acknowledge them and comment on them."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from anc.headset_records import Control
from anc.ports import Conflict, Dependencies
from anc.records import Alarm, Emergency, Stream
from anc.schemas.refusal import refuse
from anc.services.access import audit
from anc.services.access.identity import Caller
from anc.services.updates import retry_on_conflict, retry_or_refuse
from anc.tables import Table

EVENT_LIFETIME_S = 90 * 24 * 3600
MAX_ACTIVE_S = 24 * 3600  # an emergency that began earlier is no longer listed as active
PAGE = 100
MAX_READ = 1000  # emergencies that one search reads
MAX_ACTIVE_OF_ALL_S = 3600  # the same for all owners together, whose emergencies are many,
MAX_LISTED_OF_ALL = 200  # of which only the latest are read,
MAX_SOURCES_OF_ALL = 50  # and whose sources are looked at

Source = TypeVar("Source", Stream, Control)


class EmergencyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on emergencies, all of which must hold; "" and None are no condition.

    Attributes
    ----------
    owner : str
        Default: the owner of the headset `source` if the caller may see it, else the caller.
    all_owners : bool
        Whether the owner is no condition.
    source : str
        Headset or session.
    since, until : float or None
        In seconds since the epoch, inclusive and exclusive.
    """

    owner: str = ""
    all_owners: bool = False
    source: str = ""
    kind: str = ""
    since: float | None = None
    until: float | None = None
    acknowledged: bool | None = None

    def holds_for(self, event: Emergency) -> bool:
        """Return whether all conditions but the owner hold."""
        return (
            self.source in ("", event.source)
            and self.kind in ("", event.kind)
            and (self.since is None or event.at >= self.since)
            and (self.until is None or event.at < self.until)
            and self.acknowledged in (None, event.acknowledged_at is not None)
        )

    def is_past(self, event: Emergency, descending: bool) -> bool:
        """Return whether an emergency and all that follow are outside the time range."""
        if descending:
            return self.since is not None and event.key < _key(self.since)
        return self.until is not None and event.key >= _key(self.until, 1)


class EmergencyPage(NamedTuple):
    """Emergencies, and the `after` of the next page, "" on the last one."""

    events: Sequence[Emergency]
    next: str


def flush_pending_emergency(source: Source, table: Table[Source], deps: Dependencies) -> Source:
    """Publish the pending emergency of a session or headset, and clear it.

    When this is interrupted the emergency stays pending, and the next processing of the record publishes it
    again: the event is stored exactly once, and the alert is sent at least once.

    Returns
    -------
    Stream or Control
        The stored record; `source` if another writer changed it meanwhile.
    """
    if source.pending_emergency is None:
        return source
    publish(source.group, source.key, source.pending_emergency, deps)
    try:
        return table.put(source.replace(pending_emergency=None))
    except Conflict:  # of another writer, which keeps the emergency pending
        with suppress(Conflict):  # published again later
            retry_on_conflict(lambda: _clear_pending(source, table))
        return source


def _clear_pending(source: Source, table: Table[Source]) -> None:
    latest = table.get(source.key)
    if latest is not None and latest.pending_emergency == source.pending_emergency:
        table.put(latest.replace(pending_emergency=None))


def publish(owner: str, source: str, alarm: Alarm, deps: Dependencies) -> None:
    """Store an emergency event of a session or headset, and alert the subscribers."""
    name = hashlib.sha256(source.encode()).hexdigest()[:8]
    event = Emergency(
        key=f"{_key(alarm.at)}-{name}",
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
    if alarm.received_at:
        deps.measure("emergency_open", max(0.0, deps.clock() - alarm.received_at))


def find(id: str, caller: Caller, deps: Dependencies) -> Emergency:
    """Return an emergency that the caller may see. Raises Refused, `unknown_emergency`, for all others."""
    event = deps.emergencies.get(id)
    if event is None or not caller.may_see(event.group):
        refuse("unknown_emergency", f"emergency: {id} does not exist, or is older than 90 days")
    return event


def change(
    id: str, acknowledged: bool | None, comment: str | None, caller: Caller, deps: Dependencies
) -> Emergency:
    """Acknowledge an emergency, or withdraw that, and replace its comment; None changes nothing.

    An acknowledged emergency keeps who acknowledged it first, and a comment who wrote it.

    Raises
    ------
    Refused
        `unknown_emergency`; `in_flight` when its record keeps changing.
    """
    comment = None if comment is None else comment.strip()
    event = find(id, caller, deps)
    detail = {"owner": event.group, "source": event.source}
    if _acknowledgement_differs(event, acknowledged):
        value = str(acknowledged).lower()
        audit.record("emergency.acknowledge", id, caller, deps, **detail, acknowledged=value)
    if comment not in (None, event.comment):
        audit.record("emergency.comment", id, caller, deps, **detail)  # a comment may be personal

    def write() -> Emergency:
        latest = find(id, caller, deps)
        changed = _commented(_acknowledged(latest, acknowledged, caller, deps), comment, caller, deps)
        return latest if changed == latest else deps.emergencies.put(changed)

    return retry_or_refuse(write, "emergency: its record keeps changing; try again")


def _acknowledgement_differs(event: Emergency, acknowledged: bool | None) -> bool:
    return acknowledged not in (None, event.acknowledged_at is not None)


def _acknowledged(
    event: Emergency, acknowledged: bool | None, caller: Caller, deps: Dependencies
) -> Emergency:
    if not _acknowledgement_differs(event, acknowledged):
        return event
    if not acknowledged:
        return event.replace(acknowledged_by="", acknowledged_at=None)
    return event.replace(acknowledged_by=caller.user, acknowledged_at=deps.clock())


def _commented(event: Emergency, comment: str | None, caller: Caller, deps: Dependencies) -> Emergency:
    if comment in (None, event.comment):
        return event
    if not comment:
        return event.replace(comment="", commented_by="", commented_at=None)
    return event.replace(comment=comment, commented_by=caller.user, commented_at=deps.clock())


def search(
    query: EmergencyQuery,
    caller: Caller,
    deps: Dependencies,
    limit: int = 100,
    after: str = "",
    descending: bool = False,
) -> EmergencyPage:
    """Return a page of the emergencies of an owner or of all owners, oldest first or `descending`.

    Reads at most `MAX_READ` emergencies: a page can be shorter than `limit` without being the last.

    Raises
    ------
    Refused
        `forbidden` when a listener asks for the emergencies of other owners; `bad_field` with an owner and
        `all_owners`.
    """
    pages = _pages(query, caller, deps)
    cursor = _begin(query, after, descending)
    size = PAGE if query.source or query.kind or query.acknowledged is not None else limit
    found: list[Emergency] = []
    for _ in range(max(1, MAX_READ // size)):
        page = pages(size, cursor, descending)
        for event in page:
            cursor = event.key
            if query.is_past(event, descending):
                return EmergencyPage(found, "")
            if query.holds_for(event):
                found.append(event)
            if len(found) == limit:
                return EmergencyPage(found, cursor)
        if len(page) < size:
            return EmergencyPage(found, "")
    return EmergencyPage(found, cursor)


def list_active(query: EmergencyQuery, caller: Caller, deps: Dependencies) -> Sequence[Emergency]:
    """Return the emergencies whose sources are still held in transparency, the latest of each source.

    Only the owners and the source of the query count. Of all owners, it looks at the `MAX_SOURCES_OF_ALL`
    sources with the latest emergencies. Raises Refused, as `search`.
    """
    if query.all_owners:
        return _active_of_all(query, caller, deps)
    query = msgspec.structs.replace(query, since=deps.clock() - MAX_ACTIVE_S)
    latest: dict[str, Emergency] = {}
    after = ""
    while True:
        page = search(query, caller, deps, after=after)
        latest |= {event.source: event for event in page.events}
        after = page.next
        if not after:
            return [event for event in latest.values() if _is_held(event.source, deps)]


def _active_of_all(query: EmergencyQuery, caller: Caller, deps: Dependencies) -> Sequence[Emergency]:
    since = deps.clock() - MAX_ACTIVE_OF_ALL_S
    lately = msgspec.structs.replace(query, since=since)
    page = search(lately, caller, deps, limit=MAX_LISTED_OF_ALL, descending=True)
    latest: dict[str, Emergency] = {}
    for event in page.events:
        latest.setdefault(event.source, event)
    return [event for event in [*latest.values()][:MAX_SOURCES_OF_ALL] if _is_held(event.source, deps)]


def _pages(
    query: EmergencyQuery, caller: Caller, deps: Dependencies
) -> Callable[[int, str, bool], Sequence[Emergency]]:
    """Return the function that lists a page of the emergencies of the query's owners."""
    if not query.all_owners:
        return partial(deps.emergencies.list, _owner(query, caller, deps))
    if query.owner:
        refuse("bad_field", "all_owners: give either owner or all_owners")
    if not caller.may("operator"):
        refuse("forbidden", f"all_owners: requires the role operator (you are {caller.role})")
    return deps.emergencies.list_all


def _owner(query: EmergencyQuery, caller: Caller, deps: Dependencies) -> str:
    if query.owner and not caller.may_see(query.owner):
        refuse("forbidden", f"owner: others than you require the role operator (you are {caller.role})")
    if query.owner or not query.source or not caller.may("operator"):
        return query.owner or caller.user
    device = deps.devices.get(query.source)
    return device.group if device else caller.user


def _begin(query: EmergencyQuery, after: str, descending: bool) -> str:
    """Return the key after which, in this order, the emergencies of the query follow."""
    if descending:
        end = _key(query.until, 1) if query.until is not None else ""
        return min(end, after) if end and after else end or after
    return max(_key(query.since), after) if query.since is not None else after


def _key(at: float, more_ms: int = 0) -> str:
    """Return the beginning of the keys of a time."""
    return f"{int(at * 1000) + more_ms:014d}"


def _is_held(source: str, deps: Dependencies) -> bool:
    control = deps.controls.get(source)
    if control is not None:
        return deps.clock() < control.emergency_until
    stream = deps.streams.get(source)
    return stream is not None and stream.samples < stream.emergency_until * stream.rate
