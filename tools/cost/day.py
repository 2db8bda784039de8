"""Measure what a headset sends over a day, and count what AWS would bill for it.

The headset's own scheduler listens to a day of changing noise and decides what to send. Sizes are those of
the messages and records that the product's encoders make.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import msgspec
import numpy as np

from anc.dsp import Statistics
from anc.headset_records import Control, SentFilter, Telemetry
from anc.schemas.shadow import Desired, FilterDocument, Noise, Reported, float16
from anc.schemas.snapshot import HEADER
from anc.schemas.telemetry import TelemetryReport
from anc.schemas.topics import snapshot_topic, telemetry_topic
from iot.agent import REPORT_REFRESH_S, SLOW_TIMER_S
from iot.controller import NO_FILTER, Block
from iot.fir import Signal
from iot.snapshot_scheduler import SnapshotScheduler
from iot.telemetry_buffer import BATCH_SIZE, REPORT_INTERVAL_S
from simulation.scenes import Scene
from tools.cost.metering import KB, Meter, increments, item_bytes

RATE, TAPS = 16_000, 512
BLOCK = 1000  # one frame of the detection of changes
PRIVATE_BYTES = HEADER.size + 8_004  # statistics of 512 taps and the summary
THING, ENVIRONMENT = "headset-000000", "prod"
STORED_S = 0.6  # shorter snapshots without a filter are not stored, nor statistics
SIMULATED_HOURS = 3  # of a part of the day, at most
LABELS_A_DAY = 6  # noises to which a headset contributes once a day
UPDATE_BYTES = 60  # of a queue message that names a headset
MAX_FILTERS = 2


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
        self.answered = ""  # the scene for which a filter was sent last

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
    """Run the scheduler through the parts of a day and return the mean hour."""
    parts = []
    for number, part in enumerate(day):
        parts.append(measure_part(part, seed))
        on_progress((number + 1) / len(day))
    return combined(day, parts)


def measure_part(part: Part, seed: int = 0) -> Measurement:
    """Run the scheduler through a part of the day, at most `SIMULATED_HOURS`, after which it repeats itself.

    The first snapshot after each change of the scene brings a filter. This is a pessimistic assumption: a
    filter makes the headset forget the noises that it knows, so that it sends more.
    """
    meter, sizes = Meter(), record_sizes()
    scheduler, noise = SnapshotScheduler(RATE, RATE, SLOW_TIMER_S), Schedule(part.turns, seed)
    count = min(part.hours, SIMULATED_HOURS)
    for _ in range(count):
        _hour(part, noise, scheduler, sizes, meter)
    hours = count * sum(minutes for _, minutes in part.turns) / 60
    _telemetry(meter, hours, sizes)
    contributions = LABELS_A_DAY * hours / 24
    _add(meter, "written to fleets", contributions * increments(sizes["contribution"], KB), "dynamodb_write")
    return Measurement(hours, {name: amount / hours for name, amount in meter.units.items()})


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


def _hour(
    part: Part, noise: Schedule, scheduler: SnapshotScheduler, sizes: Mapping[str, int], meter: Meter
) -> None:
    for _ in range(int(60 * sum(minutes for _, minutes in part.turns) * RATE / BLOCK)):
        x = noise.read(BLOCK)
        scheduler.process(Block(x, x, x, NO_FILTER, steady=True))
        samples = scheduler.due()
        if not samples:
            continue
        new_noise, answered = scheduler.new_noise, noise.name != noise.answered
        scheduler.mark_sent(samples)
        _snapshot(samples, new_noise, answered, sizes, meter)
        if answered:
            noise.answered = noise.name
            scheduler.mark_answered()
            _filter(sizes, meter)
    refreshed = 60 * sum(minutes for _, minutes in part.turns) / REPORT_REFRESH_S
    _report(meter, sizes, refreshed)


def _snapshot(samples: int, sound: bool, answered: bool, sizes: Mapping[str, int], meter: Meter) -> None:
    payload = bytes(HEADER.size + 4 * samples if sound else PRIVATE_BYTES)
    meter.uplink(snapshot_topic(THING, ENVIRONMENT), payload)
    _add(meter, "read from controls", increments(sizes["control"], 4 * KB) + 1, "dynamodb_read")
    if answered or (sound and samples >= STORED_S * RATE):
        _add(meter, "written to controls", increments(sizes["control"], KB), "dynamodb_write")
    meter.add("endpoint_questions", float(answered))


def _filter(sizes: Mapping[str, int], meter: Meter) -> None:
    """Count a new filter: queue, shadow, delta, its report, and the report of its attenuation."""
    meter.add("filters_played")
    meter.queue("updates", UPDATE_BYTES)
    meter.add("shadow_operation", increments(sizes["shadow"], KB))
    meter.downlink(f"$aws/things/{THING}/shadow/name/anc/update/delta", bytes(sizes["delta"]))
    _add(meter, "read from watches", 2 * increments(sizes["control"], 4 * KB), "dynamodb_read")
    _report(meter, sizes, 2)


def _report(meter: Meter, sizes: Mapping[str, int], count: float) -> None:
    meter.add("shadow_reports", count)
    meter.add("iot_message", count)
    meter.add("shadow_operation", count * increments(sizes["shadow"], KB))


def _telemetry(meter: Meter, hours: float, sizes: Mapping[str, int]) -> None:
    for _ in range(int(hours * 3600 / (REPORT_INTERVAL_S * BATCH_SIZE))):
        meter.uplink(telemetry_topic(THING, ENVIRONMENT), bytes(sizes["reports"]))
        _add(meter, "written to history", increments(sizes["history"], KB) + 1, "dynamodb_write")
        _add(meter, "written to telemetry", increments(sizes["telemetry"], KB), "dynamodb_write")
        _add(meter, "read from telemetry", 1 + increments(sizes["telemetry"], 4 * KB), "dynamodb_read")
        meter.add("bytes of history", sizes["history"])


def _add(meter: Meter, name: str, amount: float, unit: str) -> None:
    meter.add(name, amount)
    meter.add(unit, amount)


def record_sizes() -> Mapping[str, int]:
    """Return the bytes of records and messages of a headset with 512 taps."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(RATE)
    statistics = Statistics.measure(x, 0.5 * x, [1.0], TAPS, RATE).to_bytes()
    taps = float16(rng.standard_normal(TAPS))
    sent = SentFilter.of(taps, 1000, RATE, 20.0)
    control = Control(key=THING, group="owner-000000", filters=MAX_FILTERS * (sent,), statistics=statistics)
    document, noise = FilterDocument.of(taps, 1000, RATE), Noise("aircraft", 0.93)
    desired = Desired(mode="cancel", intensity=1.0, filter=document, noise=noise)
    reported = Reported(mode="cancel", intensity=1.0, filter=document, noise=noise, active_filter=sent.id)
    report = TelemetryReport(
        level_dbfs=-31.5, attenuation_db=13.1, mode="cancel", firmware="1.4.2", filters=12, age_s=840.0
    )
    aged = msgspec.json.encode(BATCH_SIZE * [report])
    numbered = msgspec.structs.replace(report, run=2**31, line=1000)
    return {
        "control": item_bytes(control),
        "contribution": len(statistics) + len(taps) + 300,
        "shadow": len(msgspec.json.encode({"desired": desired, "reported": reported})),
        "delta": len(msgspec.json.encode(desired)),
        "reports": len(msgspec.json.encode(BATCH_SIZE * [numbered])),
        "history": item_bytes(Telemetry(key=40 * "k", group=30 * "g", at=1.0, expires=1.0, report=aged)),
        "telemetry": item_bytes(
            Telemetry(key=THING, group="owner-000000", at=1.0, report=msgspec.json.encode(report))
        ),
    }
