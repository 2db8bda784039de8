"""What a flow is, and what the flows share."""

from collections.abc import Callable
from typing import Any, NamedTuple

from anc.schemas.refusal import Refused
from anc.services.headsets import devices
from anc.services.headsets.devices import Registration
from tests.fakes import ALICE
from tests.faults.platform import FaultyPlatform

RATE, TAPS = 16_000, 32
PATH = [0.0, 0.0, 0.6, 0.3]


class Flow(NamedTuple):
    """Work that the platform accepts.

    Attributes
    ----------
    promise : str
        What holds afterwards whatever fails.
    run : callable
        `run(platform, name)` does the work, repeating what a client, a headset or a queue repeats.
    check : callable
        `check(platform, name)` fails when the promise is broken.
    prepare : callable
        `prepare(platform, name)` stores what exists before; nothing fails there.
    """

    promise: str
    run: Callable[[FaultyPlatform, str], Any]
    check: Callable[[FaultyPlatform, str], None]
    prepare: Callable[[FaultyPlatform, str], Any]


def registered(here: FaultyPlatform, thing: str) -> None:
    here.fake.endpoint.response = None
    request = Registration(thing, PATH, rate=RATE, taps=TAPS)
    device, _ = devices.register(request, ALICE, here.fake.deps)
    here.clock.now += 1.0
    here.fake.deps.devices.put(device.replace(model=thing))  # a fleet of its own


def unless(code: str, act: Callable[..., Any], *arguments: Any) -> None:
    """Act; being refused with this code means that an attempt whose answer was lost has succeeded."""
    try:
        act(*arguments)
    except Refused as refusal:
        if refusal.code != code:
            raise
