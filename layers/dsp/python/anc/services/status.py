"""What the platform notices of a headset: whether it is connected, and what was refused of it and why."""

from collections.abc import Callable
from typing import Literal

import msgspec

from anc.ports import Conflict, World
from anc.records import Refusal, Status
from anc.services.registrations import registered
from anc.wire.refusal import Refused, parse_json

ATTEMPTS = 3
NOTES_APART_S = 60.0
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


def of(thing: str, world: World) -> Status:
    """Return what was noticed of a headset; nothing at all when it is not registered."""
    device = registered(thing, world)
    known = world.statuses.get(thing) if device else None
    return known or Status(key=thing, group=device.group if device else "")


def came_or_went(payload: bytes, world: World) -> None:
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
            return known.but(online=True, since=at, session=event.session_identifier)
        # Only the connection that is known to be open can end: an older one gave way to it.
        if event.event_type == "disconnected" and known.session in ("", event.session_identifier):
            gone = known.but(online=False, since=max(at, known.since), session=event.session_identifier)
            return _cut_off(gone, event, world) if gone != known else known
        return known

    _change(event.client_id, note, world)


def refused(thing: str, what: str, refusal: Refused, world: World, at: float | None = None) -> None:
    """Note why something that a headset published at `at` was refused, for its owner to read."""
    _change(thing, lambda known: _and_refused(known, what, refusal, world), world, at)


def shadow_refused(thing: str, payload: bytes, world: World, at: float | None = None) -> None:
    """Note that a headset's update of its shadow was rejected, as when it is of another version."""
    rejection: Rejection = parse_json(payload, Rejection)
    refused(thing, "shadow", Refused(f"http_{rejection.code}", rejection.message), world, at)


def flooded(thing: str, what: str, world: World) -> None:
    """Note that a headset publishes more than is worked on: once a minute, since noting it costs as much."""

    def note(known: Status) -> Status:
        last = known.refusal
        if last and last.code == FLOOD and world.clock() < last.at + NOTES_APART_S:
            return known
        return _and_refused(known, what, Refused(FLOOD, f"{what}: more than are worked on; dropped"), world)

    _change(thing, note, world)


def claim_refused(serial: str, refusal: Refused, world: World) -> None:
    """Note why a claim to a headset's name was refused, beside what was refused of the headset itself.

    Anybody who holds the factory's claim can have this done, so it is written once a minute at most.
    """

    def note(known: Status) -> Status:
        last = known.claim
        if last and last.code == refusal.code and world.clock() < last.at + NOTES_APART_S:
            return known
        return known.but(claim=_refusal("claim", refusal, world))

    _change(serial, note, world)


def _cut_off(gone: Status, event: Presence, world: World) -> Status:
    why = CUT_OFF.get(event.disconnect_reason)
    if why is None:
        return gone
    refusal = Refused(event.disconnect_reason.lower(), f"connection: closed, since {why}")
    return _and_refused(gone, "connection", refusal, world)


def _and_refused(known: Status, what: str, refusal: Refused, world: World) -> Status:
    return known.but(refused=known.refused + 1, refusal=_refusal(what, refusal, world))


def _refusal(what: str, refusal: Refused, world: World) -> Refusal:
    return Refusal(what, refusal.code, refusal.message[:500], world.clock())


def _change(thing: str, change: Callable[[Status], Status], world: World, at: float | None = None) -> None:
    if registered(thing, world, at) is None:
        return  # nobody's: there is no owner to read it
    for _ in range(ATTEMPTS):
        known = of(thing, world)
        changed = change(known)
        if changed == known:
            return
        try:
            world.statuses.put(changed)
        except Conflict:
            continue
        return
    world.count("status_conflicts")
