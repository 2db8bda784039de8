"""Status of a headset: whether it is connected, and which of its messages were refused and why."""

from collections.abc import Callable
from typing import Literal

import msgspec

from anc.headset_records import RecordedRefusal, Status
from anc.ports import Conflict, Dependencies
from anc.schemas.refusal import Refused, parse_json
from anc.services.headsets import fleet
from anc.services.headsets.registrations import registered
from anc.services.updates import retry_on_conflict

MIN_INTERVAL_S = 60.0
MAX_MESSAGE_CHARS = 500
FLOOD = "too_many"
# Disconnect reasons that are the headset's fault. All others are no refusal.
FAULTY_DISCONNECTS = {
    "AUTH_ERROR": "the headset used a topic that is not its own, or a certificate that is no longer valid",
    "CLIENT_ERROR": "the headset sent a message that is too large or not valid MQTT",
    "FORBIDDEN_ACCESS": "the headset may not connect from its network",
    "THROTTLED": "the headset exceeded its message rate",
}

REPLACED = "DUPLICATE_CLIENTID"  # disconnect reason of a connection that a later one replaced

# Reasons of AWS IoT for failed connects.
FAILED_CONNECTS = {
    "AUTHORIZATION_FAILED": "its certificate does not allow this client id, or has no policy",
}


class Presence(msgspec.Struct, frozen=True, rename="camel"):
    """A lifecycle event of AWS IoT: a client connected, disconnected or could not connect.

    Other fields are ignored. The broker of one machine adds an explanation of what the client did wrong, and
    events of refused subscriptions.

    References
    ----------
    AWS IoT Core Developer Guide, "Lifecycle events".
    """

    client_id: str
    timestamp: int
    event_type: Literal["connected", "disconnected", "connect_failed", "subscription_refused"]
    session_identifier: str = ""
    disconnect_reason: str = ""
    connect_failure_reason: str = ""
    explanation: str = ""


class Rejection(msgspec.Struct, frozen=True):
    """AWS IoT's reason for rejecting a shadow update: an HTTP status and a message."""

    code: int
    message: str


def find(thing: str, deps: Dependencies) -> Status:
    """Return the status of a headset; an empty one when it is not registered."""
    device = registered(thing, deps)
    known = deps.statuses.get(thing) if device else None
    return known or Status(key=thing, group=device.group if device else "")


def record_presence(payload: bytes, deps: Dependencies) -> None:
    """Record that a headset connected, or disconnected and why. Events may be repeated and out of order.

    Raises
    ------
    Refused
        `bad_json` or `bad_field` when `payload` is not a lifecycle event.
    Conflict
        The status keeps changing; try again. Without the event, it would stay wrong until the next one.
    """
    event: Presence = parse_json(payload, Presence)

    def with_event(known: Status) -> Status:
        at = event.timestamp / 1000
        # Perhaps by its end, reported first.
        is_known = bool(known.session) and event.session_identifier == known.session
        if event.event_type == "connected" and at >= known.since and not is_known:
            return known.replace(online=True, since=at, session=event.session_identifier)
        if event.event_type == "disconnected" and _ends_latest_connection(event, known):
            offline = known.replace(
                online=False, since=max(at, known.since), session=event.session_identifier
            )
            return _with_disconnect_reason(offline, event, deps) if offline != known else known
        if event.event_type == "connect_failed":
            reason = event.explanation or FAILED_CONNECTS.get(
                event.connect_failure_reason, "AWS IoT refused it"
            )
            return _with_repeated_refusal(known, f"connection: refused, because {reason}", deps)
        if event.event_type == "subscription_refused":
            return _with_repeated_refusal(known, f"subscription: refused, because {event.explanation}", deps)
        return known

    _change(event.client_id, with_event, deps, is_optional=False)


def record_refusal(
    thing: str, what: str, refusal: Refused, deps: Dependencies, at: float | None = None
) -> None:
    """Record for the owner why a message that a headset published at `at` was refused."""
    _change(thing, lambda known: _with_refusal(known, what, refusal, deps), deps, at)


def record_repeated_refusal(thing: str, what: str, refusal: Refused, deps: Dependencies) -> None:
    """Record a refusal that is found again whenever its cause is looked at, at most once in a row."""

    def with_refusal(known: Status) -> Status:
        last = known.refusal
        if last and (last.what, last.message) == (what, refusal.message[:MAX_MESSAGE_CHARS]):
            return known
        return _with_refusal(known, what, refusal, deps)

    _change(thing, with_refusal, deps)


def record_shadow_refusal(thing: str, payload: bytes, deps: Dependencies, at: float | None = None) -> None:
    """Record that AWS IoT rejected a headset's shadow update, for example because of a version conflict."""
    rejection: Rejection = parse_json(payload, Rejection)
    record_refusal(thing, "shadow", Refused(f"http_{rejection.code}", rejection.message), deps, at)


def record_flood(thing: str, what: str, deps: Dependencies) -> None:
    """Record that a headset exceeds its share, at most once a minute: a write costs as much as a message."""

    def with_flood(known: Status) -> Status:
        last = known.refusal
        if last and last.code == FLOOD and deps.clock() < last.at + MIN_INTERVAL_S:
            return known
        return _with_refusal(known, what, Refused(FLOOD, f"{what}: dropped, the headset sent too many"), deps)

    _change(thing, with_flood, deps)


def record_claim_refusal(serial: str, refusal: Refused, deps: Dependencies) -> None:
    """Record why a claim of a serial number was refused, separately from refusals of the headset itself.

    Every holder of the factory's claim certificate can cause this write, so it happens at most once a minute.
    """

    def with_claim(known: Status) -> Status:
        last = known.claim
        if last and last.code == refusal.code and deps.clock() < last.at + MIN_INTERVAL_S:
            return known
        return known.replace(claim=_refusal("claim", refusal, deps))

    _change(serial, with_claim, deps)


def _ends_latest_connection(event: Presence, known: Status) -> bool:
    """Return whether a connection that ended is the known one, or a later one whose start is not known yet.

    The end of an earlier connection changes nothing. It is reported late, or because a later one replaced it.
    """
    if known.session in ("", event.session_identifier):
        return True
    return event.disconnect_reason != REPLACED and event.timestamp / 1000 >= known.since


def _with_repeated_refusal(known: Status, message: str, deps: Dependencies) -> Status:
    """Return the status with a refusal that a headset may repeat at once, at most once a minute."""
    last = known.refusal
    if last and last.message == message[:MAX_MESSAGE_CHARS] and deps.clock() < last.at + MIN_INTERVAL_S:
        return known
    return _with_refusal(known, "connection", Refused("refused", message), deps)


def _with_disconnect_reason(offline: Status, event: Presence, deps: Dependencies) -> Status:
    fault = FAULTY_DISCONNECTS.get(event.disconnect_reason)
    if fault is None:
        return offline
    cause = event.explanation or fault
    refusal = Refused(event.disconnect_reason.lower(), f"connection: closed, because {cause}")
    return _with_refusal(offline, "connection", refusal, deps)


def _with_refusal(known: Status, what: str, refusal: Refused, deps: Dependencies) -> Status:
    return known.replace(refused=known.refused + 1, refusal=_refusal(what, refusal, deps))


def _refusal(what: str, refusal: Refused, deps: Dependencies) -> RecordedRefusal:
    return RecordedRefusal(what, refusal.code, refusal.message[:MAX_MESSAGE_CHARS], deps.clock())


def _change(
    thing: str,
    change: Callable[[Status], Status],
    deps: Dependencies,
    at: float | None = None,
    is_optional: bool = True,
) -> None:
    """Change the status of a headset. An optional change is counted and left out if conflicts continue."""
    device = registered(thing, deps, at)
    if device is None:
        return  # no owner could read it

    def update() -> None:
        known = find(thing, deps)
        changed = change(known)
        if changed != known:
            deps.statuses.put(changed)
            fleet.record_status(device, changed, deps)

    try:
        retry_on_conflict(update)
    except Conflict:
        deps.count("status_conflicts")
        if not is_optional:
            raise
