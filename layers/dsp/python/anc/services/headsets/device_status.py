"""What the platform notices of a headset: whether it is connected, and what was refused of it and why."""

from collections.abc import Callable
from typing import Literal

import msgspec

from anc.ports import Conflict, Dependencies
from anc.records import RecordedRefusal, Status
from anc.schemas.refusal import Refused, parse_json
from anc.services.headsets.registrations import registered
from anc.services.updates import retry_on_conflict

MIN_INTERVAL_S = 60.0
FLOOD = "too_many"
# Why a broker hangs up on a headset that did something wrong; other ends of a connection are no refusal.
CUT_OFF = {
    "AUTH_ERROR": "it used a topic that is not its own, or a certificate that is not good any more",
    "CLIENT_ERROR": "it sent a message that is too large, or none that MQTT knows",
    "FORBIDDEN_ACCESS": "it may not connect from where it is",
    "THROTTLED": "it sends more than a headset may",
}


class Presence(msgspec.Struct, frozen=True, rename="camel"):
    """What AWS IoT says when a client comes or goes; here is what matters of it.

    References
    ----------
    AWS IoT Core Developer Guide, "Lifecycle events".
    """

    client_id: str
    timestamp: int
    event_type: Literal["connected", "disconnected"]
    session_identifier: str
    disconnect_reason: str = ""


class Rejection(msgspec.Struct, frozen=True):
    """Why AWS IoT did not take an update of a shadow: an HTTP status and a sentence."""

    code: int
    message: str


def find(thing: str, deps: Dependencies) -> Status:
    """Return what was noticed of a headset; nothing at all when it is not registered."""
    device = registered(thing, deps)
    known = deps.statuses.get(thing) if device else None
    return known or Status(key=thing, group=device.group if device else "")


def record_presence(payload: bytes, deps: Dependencies) -> None:
    """Note that a headset connected, or disconnected and why. Events may come twice, and in another order.

    Raises
    ------
    Refused
        `bad_json` or `bad_field` when the event is none.
    """
    event: Presence = parse_json(payload, Presence)

    def note(known: Status) -> Status:
        at = event.timestamp / 1000
        if event.event_type == "connected" and at >= known.since:
            return known.replace(online=True, since=at, session=event.session_identifier)
        # Only the connection that is known to be open can end: an older one gave way to it.
        if event.event_type == "disconnected" and known.session in ("", event.session_identifier):
            gone = known.replace(online=False, since=max(at, known.since), session=event.session_identifier)
            return _disconnected(gone, event, deps) if gone != known else known
        return known

    _change(event.client_id, note, deps)


def record_refusal(
    thing: str, what: str, refusal: Refused, deps: Dependencies, at: float | None = None
) -> None:
    """Note why something that a headset published at `at` was refused, for its owner to read."""
    _change(thing, lambda known: _with_refusal(known, what, refusal, deps), deps, at)


def record_shadow_refusal(thing: str, payload: bytes, deps: Dependencies, at: float | None = None) -> None:
    """Note that a headset's update of its shadow was rejected, as when it is of another version."""
    rejection: Rejection = parse_json(payload, Rejection)
    record_refusal(thing, "shadow", Refused(f"http_{rejection.code}", rejection.message), deps, at)


def record_flood(thing: str, what: str, deps: Dependencies) -> None:
    """Note that a headset publishes more than is worked on: once a minute, since noting it costs as much."""

    def note(known: Status) -> Status:
        last = known.refusal
        if last and last.code == FLOOD and deps.clock() < last.at + MIN_INTERVAL_S:
            return known
        return _with_refusal(known, what, Refused(FLOOD, f"{what}: more than are worked on; dropped"), deps)

    _change(thing, note, deps)


def record_claim_refusal(serial: str, refusal: Refused, deps: Dependencies) -> None:
    """Note why a claim to a headset's name was refused, beside what was refused of the headset itself.

    Anybody who holds the factory's claim can have this done, so it is written once a minute at most.
    """

    def note(known: Status) -> Status:
        last = known.claim
        if last and last.code == refusal.code and deps.clock() < last.at + MIN_INTERVAL_S:
            return known
        return known.replace(claim=_refusal("claim", refusal, deps))

    _change(serial, note, deps)


def _disconnected(gone: Status, event: Presence, deps: Dependencies) -> Status:
    why = CUT_OFF.get(event.disconnect_reason)
    if why is None:
        return gone
    refusal = Refused(event.disconnect_reason.lower(), f"connection: closed, since {why}")
    return _with_refusal(gone, "connection", refusal, deps)


def _with_refusal(known: Status, what: str, refusal: Refused, deps: Dependencies) -> Status:
    return known.replace(refused=known.refused + 1, refusal=_refusal(what, refusal, deps))


def _refusal(what: str, refusal: Refused, deps: Dependencies) -> RecordedRefusal:
    return RecordedRefusal(what, refusal.code, refusal.message[:500], deps.clock())


def _change(
    thing: str, change: Callable[[Status], Status], deps: Dependencies, at: float | None = None
) -> None:
    if registered(thing, deps, at) is None:
        return  # nobody's: there is no owner to read it

    def update() -> None:
        known = find(thing, deps)
        changed = change(known)
        if changed != known:
            deps.statuses.put(changed)

    try:
        retry_on_conflict(update)
    except Conflict:
        deps.count("status_conflicts")
