"""Emergencies: written down, told to people, listed."""

import secrets
from collections.abc import Sequence

from anc.ports import World
from anc.records import Emergency
from anc.services.identity import Caller

KEPT_S = 90 * 24 * 3600
LONGEST_S = 24 * 3600  # an alarm that goes on for longer is not called one any more


def raised(owner: str, source: str, kind: str, score: float, world: World) -> None:
    """Write down that an alarm opened a headset or a session, and tell those who want to know."""
    now = world.clock()
    event = Emergency(
        key=f"{int(now * 1000):014d}-{secrets.token_hex(4)}",
        group=owner,
        expires=now + KEPT_S,
        source=source,
        kind=kind,
        score=score,
        at=now,
    )
    world.emergencies.put(event)
    world.count("emergencies_raised")
    world.alerts.publish(f"{kind} near a headset", f"{source} heard a {kind} and is open to the world")


def list_own(caller: Caller, world: World, limit: int = 100, after: str = "") -> Sequence[Emergency]:
    """Return the caller's emergencies, the oldest first."""
    return world.emergencies.list(caller.user, limit, after)


def open_now(caller: Caller, world: World) -> Sequence[Emergency]:
    """Return the alarms that hold something of the caller's open now, the latest of each source."""
    after = f"{int((world.clock() - LONGEST_S) * 1000):014d}"
    latest: dict[str, Emergency] = {}
    while page := list_own(caller, world, after=after):
        latest |= {event.source: event for event in page}
        after = page[-1].key
    return [event for event in latest.values() if _holds(event.source, world)]


def _holds(source: str, world: World) -> bool:
    control = world.controls.get(source)
    if control is not None:
        return world.clock() < control.emergency_until
    stream = world.streams.get(source)
    return stream is not None and stream.samples < stream.emergency_until * stream.rate
