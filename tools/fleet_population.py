"""Fill a data folder with simulated headsets, to try pages and queries on a large fleet.

The headsets are registered and report through the platform's services, without certificates and connections.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from anc.fleet_records import Distribution, FleetGroup, GroupField
from anc.headset_records import Control
from anc.ports import Conflict, Dependencies
from anc.schemas.refusal import Refused
from anc.schemas.telemetry import TelemetryReport
from anc.services.access.identity import Caller
from anc.services.headsets import device_models, device_status, devices, fleet, fleet_history, telemetry
from anc.settings import Settings
from local.public_address import PublicAddress
from local.server import LocalPlatform

MODELS = {"AX2": 17.0, "AX2-mini": 13.0, "Studio": 20.0}  # mean attenuation in dB
FIRMWARE = {"1.3.0": 0.0, "1.4.1": 0.5, "1.4.2": -6.0}  # 1.4.2 is the worse one that a search should find
TAGS = ("hall-1", "hall-2", "night-shift", "spare")
NOISES = {"engine": 3.0, "road": 1.0, "rail": 0.0, "machine": 1.0, "voices": -5.0}
PATH = [0.0, 0.0, 0.6, 0.3, -0.1]
HEADSETS_PER_OWNER = 20
HISTORY_DAYS = 90
DAY_S = 24 * 3600.0
REFUSALS = {
    "snapshot": Refused("clipped", "reference: clipped; lower the gain of the microphone"),
    "telemetry": Refused("bad_field", "battery: must be at most 1.0 (got 1.2)"),
}


class SimulatedState(NamedTuple):
    """What a simulated headset reports, and how long ago."""

    model: str
    tags: tuple[str, ...]
    noise: str
    report: TelemetryReport
    age_s: float
    refused: str


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def populate(
    data: Path,
    headsets: int,
    seed: int,
    settings: Settings,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Add simulated headsets to the platform of a data folder, which must not run.

    Headsets that exist already get a new report. `progress` is called with the number of headsets so far.

    Raises
    ------
    UnusableFolder
        The folder cannot be used, or a platform is running on it.
    """
    platform = LocalPlatform(data, PublicAddress.of("127.0.0.1", 8080), settings)
    add(platform.deps, headsets, seed, progress)


def add(
    platform: Dependencies, headsets: int, seed: int, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Register simulated headsets, let each report once, and record the days before."""
    now, clock = platform.clock(), _Clock()
    clock.now = now
    deps = replace(platform, clock=clock)
    operator = Caller("fleet-population", "operator")
    for name in MODELS:
        device_models.describe(name, device_models.ModelDescription(secondary=PATH), deps)
    for number, state in enumerate(states(headsets, seed)):
        thing = f"{state.model}-{number:06}"
        owner = operator_for(number)
        clock.now = now - DAY_S * 30
        registration = devices.Registration(thing=thing, model=state.model)
        try:
            device = devices.create(registration, msgspec.structs.replace(operator, user=owner), deps)
        except Refused as fault:
            if fault.code != "exists":
                raise
            device = devices.find(thing, operator, deps)
        clock.now = now - state.age_s
        if device.tags != state.tags:
            device = deps.devices.put(device.replace(tags=state.tags))
        fleet.record_registration(device, deps)
        known = deps.controls.get(thing) or Control(key=thing, group=device.group)
        deps.controls.put(known.replace(noise=state.noise, confidence=0.9))
        for kind, refusal in REFUSALS.items():
            if kind == state.refused:
                device_status.record_refusal(thing, kind, refusal, deps)
        telemetry.store(thing, msgspec.json.encode(state.report), clock.now, deps)
        progress(number + 1)
    clock.now = now
    _record_history(deps, now, seed)


def _record_history(deps: Dependencies, now: float, seed: int) -> None:
    """Record days on which firmware 1.4.2 spread through the fleet, until today."""
    random = Random(seed)  # noqa: S311  no secret
    today = fleet_history.snapshot(now, deps)
    for age in range(HISTORY_DAYS):
        share = max(0.0, 1 - age / 30)

        def earlier(known: Distribution) -> Distribution:
            better_db = 1.5 * (1 - share) + random.gauss(0, 0.25)  # noqa: B023  used at once
            return Distribution(*(None if db is None else round(db + better_db, 2) for db in known))

        groups: dict[GroupField, tuple[FleetGroup, ...]] = {
            field: tuple(each._replace(attenuation=earlier(each.attenuation)) for each in found)
            for field, found in today.groups.items()
        }
        at = now - DAY_S * age
        day = today.replace(
            key=fleet_history.date_of(at),
            expires=at + fleet_history.LIFETIME_S,
            at=at,
            attenuation=earlier(today.attenuation),
            groups=groups,
        )
        with suppress(Conflict):  # a fleet was added before
            deps.fleet_days.put(day)


def operator_for(number: int) -> str:
    """Return the owner of a simulated headset."""
    return f"user-{number // HEADSETS_PER_OWNER:04}"


def states(headsets: int, seed: int) -> Iterator[SimulatedState]:
    """Yield what the headsets of a fleet report; the same for the same seed."""
    random = Random(seed)  # noqa: S311  no secret
    for _ in range(headsets):
        model = random.choices(list(MODELS), (5, 3, 2))[0]
        firmware = random.choices(list(FIRMWARE), (2, 5, 3))[0]
        noise = random.choice(list(NOISES))
        attenuation = random.gauss(MODELS[model] + FIRMWARE[firmware] + NOISES[noise], 2.5)
        reverted = random.choice((1, 2, 5)) if random.random() < (0.2 if firmware == "1.4.2" else 0.03) else 0
        report = TelemetryReport(
            battery=round(random.uniform(0.1, 1.0), 2),
            level_dbfs=round(random.uniform(-60, -30), 1),
            attenuation_db=round(attenuation, 2) if random.random() < 0.95 else None,
            mode="cancel",
            firmware=firmware,
            filters=random.randrange(5, 60),
            reverted=reverted,
        )
        refused = random.choice(list(REFUSALS)) if random.random() < 0.04 else ""
        tags = tuple(tag for tag in TAGS if random.random() < 0.25)
        yield SimulatedState(model, tags, noise, report, random.uniform(0, 3 * DAY_S), refused)
