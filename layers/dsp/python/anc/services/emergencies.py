"""Emergencies: written down, told to people, listed."""

import secrets
from collections.abc import Sequence

from anc.ports import World
from anc.records import Emergency
from anc.services.identity import Caller

KEPT_S = 90 * 24 * 3600


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
