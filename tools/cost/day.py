"""Measure what a headset sends over a day, and count what AWS would bill for it.

The headset's own agent and the platform's services run in simulated time, in a day of changing noise.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from anc.dsp import Statistics
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant
from simulation.playback import BLOCK_S
from simulation.scenes import Scene
from tools.cost.metered_platform import MeteredPlatform
from tools.cost.metering import KB, increments
from tools.evaluation.simulated_platform import SimulatedHeadset

RATE, TAPS = 16_000, 512
THING = "headset-000000"
SIMULATED_HOURS = 2  # of a part of the day, at most
LABELS_A_DAY = 6  # noises to which a headset contributes once a day
TRUE_LABELS = {"cabin": "aircraft", "street": "road", "engine": "machine"}


class Part(NamedTuple):
    """Hours of a day that are alike: how many, and the scenes of one such hour with their minutes."""

    name: str
    hours: int
    turns: tuple[tuple[str, float], ...]


DAY = (
    Part("at night", 8, (("cabin", 60),)),
    Part("at work and at leisure", 14, (("cabin", 20), ("street", 10), ("engine", 15), ("cabin", 15))),
    Part("on the way", 2, 6 * (("street", 5), ("engine", 5))),
)


class Measurement(NamedTuple):
    """What a headset used: billed units and counts per hour, over so many hours."""

    hours: float
    per_hour: Mapping[str, float]


class Schedule:
    """The noise of an hour: scenes for so many minutes each, repeated."""

    def __init__(self, turns: tuple[tuple[str, float], ...], seed: int) -> None:
        self._scenes = {name: Scene.built_in(name, RATE, seed) for name, _ in turns}
        self._turns = cycle([(name, int(60 * minutes * RATE)) for name, minutes in turns])
        self.name, self._left = next(self._turns)

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32. `name` is the scene of the last one."""
        parts = []
        while n > 0:
            if not self._left:
                self.name, self._left = next(self._turns)
            part = self._scenes[self.name].read(min(n, self._left))
            parts.append(part)
            self._left -= part.size
            n -= part.size
        return np.concatenate(parts)


def measure(
    on_progress: Callable[[float], None] = lambda fraction: None,
    seed: int = 0,
    day: tuple[Part, ...] = DAY,
) -> Measurement:
    """Run a headset through two hours of each part of a day and return the mean hour."""
    parts: list[Measurement] = []
    for part in day:
        parts.append(measure_part(part, seed, lambda done: on_progress((len(parts) + done) / len(day))))
    return combined(day, parts)


def measure_part(
    part: Part, seed: int = 0, on_progress: Callable[[float], None] = lambda fraction: None
) -> Measurement:
    """Run a headset and the platform for the first two hours of a part of the day.

    The second hour stands for all later ones: in the first, the headset knows no noise yet.
    """
    seconds = 60 * sum(minutes for _, minutes in part.turns)
    noise, plant = Schedule(part.turns, seed), AcousticPlant(seed, RATE)
    hours: list[Mapping[str, float]] = []
    with TemporaryDirectory() as folder:
        platform = MeteredPlatform(Path(folder) / "platform")
        platform.register(THING, plant, TAPS)
        headset = SimulatedHeadset(platform, THING, plant, noise, emergency_detector=NoAlarms())
        count = min(part.hours, SIMULATED_HOURS)
        blocks = int(seconds / BLOCK_S)
        for hour in range(count):
            platform.meter.units.clear()
            played = headset.agent.status.filters
            for block in range(blocks):
                platform.endpoint.label = TRUE_LABELS[noise.name]
                headset.play_block()
                on_progress((hour + (block + 1) / blocks) / count)
            platform.meter.add("filters_played", headset.agent.status.filters - played)
            contributed = LABELS_A_DAY * seconds / 3600 / 24 * increments(contribution_bytes(), KB)
            platform.meter.record("written to fleets", contributed, "dynamodb_write")
            hours.append({name: amount * 3600 / seconds for name, amount in platform.meter.units.items()})
    later = part.hours - 1
    names = {name for hour in hours for name in hour}
    mean = {name: (hours[0].get(name, 0) + later * hours[-1].get(name, 0)) / part.hours for name in names}
    return Measurement(count * seconds / 3600, mean)


def combined(day: tuple[Part, ...], parts: Sequence[Measurement]) -> Measurement:
    """Return the mean hour of a day from the hours of its parts."""
    hours = sum(part.hours for part in day)
    per_hour: defaultdict[str, float] = defaultdict(float)
    for part, measured in zip(day, parts, strict=True):
        for name, amount in measured.per_hour.items():
            per_hour[name] += amount * part.hours / hours
    return Measurement(
        sum(each.hours for each in parts), {name: round(per_hour[name], 3) for name in sorted(per_hour)}
    )


class NoAlarms:
    """A detector in noises without alarms."""

    holding = False

    def process(self, block: Signal) -> None:
        """Ignore the block."""


def contribution_bytes() -> int:
    """Return the bytes of a contribution of a headset with 512 taps to its fleet."""
    x, d = (Scene.built_in("street", RATE, seed).read(RATE) for seed in (0, 1))
    statistics = Statistics.measure(x, d, [1.0], TAPS, RATE).to_stored_bytes()
    return len(statistics) + 2 * TAPS + 300
