"""Fleet statistics: headsets benefit from others, and faulty ones do no harm."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.dsp import Statistics, design_control_filter, peak_gain_db
from anc.headset_records import Contribution, Device, Fleet, SentFilter
from anc.noise import summary
from anc.pcm import float_to_int16
from anc.ports import Conflict, Dependencies
from anc.schemas.snapshot import MAX_PCM_SAMPLES, Snapshot
from anc.services.headsets import control, devices, fleet_statistics
from anc.services.headsets.devices import Registration
from tests.fakes import ALICE, Clock, FakePlatform, make_dependencies
from tests.untrained_models import untrained_model

RATE, TAPS = 16_000, 64
NOISE = "aircraft"


class Plant:
    """A head whose primary and secondary path differ slightly from those of other heads."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.primary = 0.7 * sinc(9.0 + rng.uniform(-0.6, 0.6)) + 0.1 * rng.standard_normal(32) / 6
        self.secondary = rng.uniform(0.4, 0.6) * sinc(3.0 + rng.uniform(-0.4, 0.4), 16)

    def process(self, seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return x and d of an engine-like noise."""
        rng = np.random.default_rng(seed)
        white = rng.standard_normal(int(seconds * RATE))
        kernel = np.sinc(0.15 * np.arange(-40, 41)) * np.hamming(81)
        x = 0.05 * np.convolve(white, kernel, "same")
        d = np.convolve(x, self.primary)[: x.size] + 1e-4 * rng.standard_normal(x.size)
        return x, d

    def gain_db(self, w: np.ndarray, seed: int = 999) -> float:
        """Return the true attenuation of a filter, on sound that was not used to design it."""
        x, d = self.process(2.0, seed)
        e = d - np.convolve(np.convolve(x, w), self.secondary)[: x.size]
        return float(10 * np.log10(np.vdot(d, d) / np.vdot(e, e)))


def sinc(delay: float, n: int = 32) -> np.ndarray:
    return np.sinc(np.arange(n) - delay) * np.hamming(n + 1)[:n]


def snapshot(plant: Plant, seconds: float, seed: int, seq: int = 1) -> bytes:
    pcm = float_to_int16(np.stack(plant.process(seconds, seed), axis=1))
    return Snapshot(seq, RATE, len(pcm), "", pcm=pcm).encode()


def register(name: str, plant: Plant, deps: Dependencies) -> Device:
    request = Registration(name, plant.secondary.tolist(), model="m1", rate=RATE, taps=TAPS)
    return devices.register(request, ALICE, deps)[0]


def filter_of(name: str, deps: Dependencies) -> np.ndarray:
    known = deps.controls.get(name)
    assert known is not None
    return known.filters[0].decode()


def contribution(name: str, plant: Plant, secondary: np.ndarray, owner: str = "alice", at: float = 0.0):
    """Return the contribution of a headset with this model of its path."""
    x, d = plant.process(1.0, seed=len(name) + sum(map(ord, name)))
    w = design_control_filter(x, d, secondary, TAPS, rate=RATE).taps
    statistics = Statistics.measure(x, d, secondary, TAPS, RATE).to_stored_bytes()
    return Contribution(name, owner, at, statistics, np.clip(w, -6e4, 6e4).astype("<f2").tobytes())


@cache
def healthy() -> tuple[Contribution, ...]:
    plants = [Plant(seed) for seed in range(fleet_statistics.MAX_CONTRIBUTIONS)]
    return tuple(contribution(f"h{i}", plant, plant.secondary) for i, plant in enumerate(plants))


def broken(kind: str, i: int) -> Contribution:
    plant = Plant(500 + i)
    secondary = {
        "inverted": -plant.secondary,
        "huge": 1e4 * plant.secondary,
        "huge and inverted": -1e4 * plant.secondary,
        "tiny": 1e-4 * plant.secondary,
        "late": np.concatenate([np.zeros(20), plant.secondary]),
        "of another kind": np.random.default_rng(i).standard_normal(16),
    }[kind]
    return contribution(f"b{i}", plant, secondary)


def test_a_headset_new_to_a_noise_uses_fleet_statistics(platform: FakePlatform) -> None:
    contributor, newcomer = Plant(1), Plant(1)
    register("teacher", contributor, platform.deps)
    control.process_snapshot("teacher", snapshot(contributor, 1.0, seed=1), platform.deps)
    assert platform.counts["fleet_contributions"] == 1

    known = control_of("teacher", platform)
    device = register("newcomer", newcomer, platform.deps)
    now = Statistics.measure(*newcomer.process(0.25, seed=7), newcomer.secondary, TAPS, RATE)
    neighbour = fleet_statistics.nearest(device, known.noise, now, platform.deps)
    assert neighbour is not None
    assert neighbour.gain_db > 15
    assert newcomer.gain_db(neighbour.w) > 15


def control_of(name: str, platform: FakePlatform):
    known = platform.deps.controls.get(name)
    assert known is not None
    return known


def test_a_headset_does_not_use_its_own_contribution(platform: FakePlatform) -> None:
    plant = Plant(1)
    device = register("only", plant, platform.deps)
    control.process_snapshot("only", snapshot(plant, 1.0, seed=1), platform.deps)
    now = Statistics.measure(*plant.process(0.25, seed=7), plant.secondary, TAPS, RATE)
    assert fleet_statistics.nearest(device, control_of("only", platform).noise, now, platform.deps) is None


def test_contributions_are_separate_by_model_length_and_noise(platform: FakePlatform) -> None:
    device = register("one", Plant(1), platform.deps)
    names = {
        fleet_statistics.fleet_key(device, NOISE),
        fleet_statistics.fleet_key(device, "rail"),
        fleet_statistics.fleet_key(device.replace(model="m2"), NOISE),
        fleet_statistics.fleet_key(device.replace(taps=32), NOISE),
        fleet_statistics.fleet_key(device.replace(rate=48_000), NOISE),
    }
    assert len(names) == 5


def test_a_headset_has_one_contribution_at_limited_intervals(platform: FakePlatform) -> None:
    plant = Plant(1)
    register("one", plant, platform.deps)
    for seq in range(1, 5):
        control.process_snapshot("one", snapshot(plant, 1.0, seed=seq, seq=seq), platform.deps)
    assert platform.counts["fleet_contributions"] == 1
    platform.clock.now += fleet_statistics.CONTRIBUTION_INTERVAL_S + 1
    control.process_snapshot("one", snapshot(plant, 1.0, seed=9, seq=9), platform.deps)
    assert platform.counts["fleet_contributions"] == 2
    (noise,) = control_of("one", platform).shared
    assert contributors(device_of("one", platform), noise, platform.deps) == ["one"]


def device_of(name: str, platform: FakePlatform) -> Device:
    device = platform.deps.devices.get(name)
    assert device is not None
    return device


def test_a_filter_beyond_the_drivers_limit_is_not_used(platform: FakePlatform) -> None:
    plant = Plant(1)
    register("teacher", plant, platform.deps)
    control.process_snapshot("teacher", snapshot(plant, 1.0, seed=1), platform.deps)
    loud = peak_gain_db(filter_of("teacher", platform.deps))
    newcomer = register("newcomer", plant, platform.deps)
    now = Statistics.measure(*plant.process(0.25, seed=7), plant.secondary, TAPS, RATE)
    noise = control_of("teacher", platform).noise
    assert fleet_statistics.nearest(newcomer.replace(max_gain_db=loud + 0.1), noise, now, platform.deps)
    assert (
        fleet_statistics.nearest(newcomer.replace(max_gain_db=loud - 0.1), noise, now, platform.deps) is None
    )


def test_filters_respect_the_drivers_limit_and_those_at_it_are_counted(platform: FakePlatform) -> None:
    plant = Plant(1)
    register("free", plant, platform.deps)
    control.process_snapshot("free", snapshot(plant, 1.0, seed=1), platform.deps)
    assert platform.counts["filters_at_drivers_limit"] == 0
    limit = peak_gain_db(filter_of("free", platform.deps)) - 12
    platform.deps.devices.put(register("weak", plant, platform.deps).replace(max_gain_db=limit))
    control.process_snapshot("weak", snapshot(plant, 1.0, seed=1), platform.deps)
    assert peak_gain_db(filter_of("weak", platform.deps)) == pytest.approx(limit, abs=0.05)
    assert platform.counts["filters_at_drivers_limit"] == 1


@pytest.mark.parametrize("seconds", [0.25, 0.4])
def test_a_short_snapshot_is_not_contributed(platform: FakePlatform, seconds: float) -> None:
    register("one", Plant(1), platform.deps)
    control.process_snapshot("one", snapshot(Plant(1), seconds, seed=1), platform.deps)
    assert platform.counts["fleet_contributions"] == 0


@pytest.mark.parametrize("rate", [48_000, 96_000])
def test_the_longest_snapshot_at_a_high_rate_is_contributed(platform: FakePlatform, rate: int) -> None:
    plant = Plant(1)
    request = Registration("fast", plant.secondary.tolist(), model="m1", rate=rate, taps=TAPS)
    devices.register(request, ALICE, platform.deps)
    pcm = float_to_int16(np.stack(plant.process(MAX_PCM_SAMPLES / RATE, seed=1), axis=1))
    control.process_snapshot("fast", Snapshot(1, rate, len(pcm), "", pcm=pcm).encode(), platform.deps)
    assert platform.counts["fleet_contributions"] == 1


def test_a_refused_snapshot_is_not_contributed(platform: FakePlatform) -> None:
    register("one", Plant(1), platform.deps)
    loud = np.clip(
        float_to_int16(np.stack(Plant(1).process(1.0, 1), axis=1)).astype(np.int32) * 400, -32768, 32767
    )
    data = Snapshot(1, RATE, len(loud), "", pcm=loud.astype(np.int16)).encode()
    with pytest.raises(control.Refused, match="at most 1% of the samples must be clipped"):
        control.process_snapshot("one", data, platform.deps)
    assert platform.counts["fleet_contributions"] == 0
    assert platform.deps.controls.get("one") is None


@pytest.mark.parametrize(("taps", "most_bytes"), [(512, 6_000), (1024, 11_000)])
def test_a_contribution_is_a_small_item(taps: int, most_bytes: int) -> None:
    """Before, an item held all 16: 84 KB for 512 taps, which is 84 write units of 1,000 that a key takes."""
    one = Contribution("d" * 64, "o" * 128, 1.8e9, bytes(8 * taps + 100), bytes(2 * taps))
    item = Fleet(key="k" * 150, group="k" * 147, contributions=(one,))
    assert len(msgspec.msgpack.encode(item)) < most_bytes


def test_the_number_of_writes_does_not_grow_with_the_fleet(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleets, written = platform.deps.fleets, []
    put = fleets.put
    monkeypatch.setattr(fleets, "put", lambda record: written.append(record.key) or put(record))
    sent = SentFilter.of(healthy()[0].taps, 1, RATE, 10.0)
    statistics = Statistics.from_stored_bytes(healthy()[0].statistics)
    device = register("some", Plant(1), platform.deps)
    for i in range(200):
        one = device.replace(key=f"h{i}", group=f"o{i}")
        fleet_statistics.contribute(one, NOISE, statistics, sent, platform.deps)
    assert len(written) == len(set(written)) == fleet_statistics.MAX_CONTRIBUTIONS


def test_reads_come_from_a_cache_for_a_minute(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleets, read = platform.deps.fleets, []
    listed = fleets.list
    monkeypatch.setattr(fleets, "list", lambda *args, **kwargs: read.append(1) or listed(*args, **kwargs))
    plant = Plant(1)
    device = register("some", plant, platform.deps)
    now = Statistics.measure(*plant.process(0.25, seed=7), plant.secondary, TAPS, RATE)
    for _ in range(50):
        fleet_statistics.nearest(device, NOISE, now, platform.deps)
    assert len(read) == 1
    platform.clock.now += 61
    fleet_statistics.nearest(device, NOISE, now, platform.deps)
    assert len(read) == 2


def test_a_fleet_stored_by_an_earlier_version_is_used_beside_new_contributions(
    platform: FakePlatform,
) -> None:
    plant = Plant(1)
    device = register("some", plant, platform.deps)
    group = fleet_statistics.fleet_key(device, NOISE)
    former = {
        "key": group, "group": "m1", "contributions": [
            {"device": "former", "owner": "ann", "at": 5.5, "statistics": healthy()[0].statistics,
             "taps": healthy()[0].taps}
        ],
    }  # fmt: skip
    platform.deps.fleets.put(msgspec.convert(former, Fleet))
    assert contributors(device, NOISE, platform.deps) == ["former"]
    sent = SentFilter.of(healthy()[1].taps, 1, RATE, 10.0)
    statistics = Statistics.from_stored_bytes(healthy()[1].statistics)
    fleet_statistics.contribute(device.replace(key="new"), NOISE, statistics, sent, platform.deps)
    assert contributors(device, NOISE, platform.deps) == ["former", "new"]
    now = Statistics.measure(*plant.process(0.25, seed=7), plant.secondary, TAPS, RATE)
    assert fleet_statistics.nearest(device, NOISE, now, platform.deps)


def contributors(device: Device, noise: str, deps: Dependencies) -> list[str]:
    """Return the headsets that contributed to a noise, in order of their contributions."""
    group = fleet_statistics.fleet_key(device, noise)
    former = deps.fleets.get(group)
    records = [*([former] if former else []), *deps.fleets.list(group)]
    found = [contribution for record in records for contribution in record.contributions]
    return [each.device for each in sorted(found, key=lambda each: each.at)]


def replace_fleet(group: str, members: Sequence[Contribution], deps: Dependencies) -> None:
    """Store a fleet as an earlier version did: all contributions in one record."""
    for number in range(fleet_statistics.MAX_CONTRIBUTIONS):
        deps.fleets.delete(fleet_statistics.slot_key(group, number))
    deps.fleets.delete(group)
    deps.fleets.put(Fleet(key=group, contributions=tuple(members)))
    deps.fleet_cache.invalidate("fleets", group)


def test_a_full_fleet_drops_its_oldest_contribution(platform: FakePlatform) -> None:
    sent = SentFilter.of(healthy()[0].taps, 1, RATE, 10.0)
    statistics = Statistics.from_stored_bytes(healthy()[0].statistics)
    device = register("some", Plant(1), platform.deps)
    for i in range(fleet_statistics.MAX_CONTRIBUTIONS + 4):
        platform.clock.now += fleet_statistics.REPLACEMENT_INTERVAL_S
        fleet_statistics.contribute(device.replace(key=f"h{i}"), NOISE, statistics, sent, platform.deps)
    assert contributors(device, NOISE, platform.deps) == [
        f"h{i}" for i in range(4, fleet_statistics.MAX_CONTRIBUTIONS + 4)
    ]


def test_one_owner_cannot_displace_all_others(platform: FakePlatform) -> None:
    sent = SentFilter.of(healthy()[0].taps, 1, RATE, 10.0)
    statistics = Statistics.from_stored_bytes(healthy()[0].statistics)
    device = register("some", Plant(1), platform.deps)
    for i in range(8):
        fleet_statistics.contribute(
            device.replace(key=f"honest{i}", group=f"o{i}"), NOISE, statistics, sent, platform.deps
        )
    for i in range(100):
        platform.clock.now += fleet_statistics.REPLACEMENT_INTERVAL_S
        fleet_statistics.contribute(
            device.replace(key=f"flood{i}", group="mallory"), NOISE, statistics, sent, platform.deps
        )
    stored = contributors(device, NOISE, platform.deps)
    assert len(stored) == fleet_statistics.MAX_CONTRIBUTIONS
    assert sum(name.startswith("honest") for name in stored) == 8


def test_old_contributions_expire(platform: FakePlatform) -> None:
    sent = SentFilter.of(healthy()[0].taps, 1, RATE, 10.0)
    statistics = Statistics.from_stored_bytes(healthy()[0].statistics)
    device = register("some", Plant(1), platform.deps)
    fleet_statistics.contribute(device.replace(key="old"), NOISE, statistics, sent, platform.deps)
    platform.clock.now += fleet_statistics.CONTRIBUTION_LIFETIME_S / 2
    fleet_statistics.contribute(device.replace(key="young"), NOISE, statistics, sent, platform.deps)
    platform.clock.now += fleet_statistics.CONTRIBUTION_LIFETIME_S / 2 + 1
    fleet_statistics.contribute(device.replace(key="new"), NOISE, statistics, sent, platform.deps)
    assert contributors(device, NOISE, platform.deps) == ["young", "new"]


def test_of_two_concurrent_contributions_one_is_dropped_without_failing_the_snapshot(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(record: Fleet) -> Fleet:
        raise Conflict(record.key)

    monkeypatch.setattr(platform.deps.fleets, "put", overtaken)
    register("one", Plant(1), platform.deps)
    control.process_snapshot("one", snapshot(Plant(1), 1.0, seed=1), platform.deps)
    assert platform.counts["fleet_conflicts"] == 1
    assert Plant(1).gain_db(filter_of("one", platform.deps)) > 15


@pytest.fixture(scope="module")
def fleet_world(tmp_path_factory: pytest.TempPathFactory) -> FakePlatform:
    folder = tmp_path_factory.mktemp("fleet")
    model = untrained_model(folder / "model.npz", alarm=False, label=NOISE)
    return make_dependencies(folder, Clock(), ml_model_path=str(model))


KINDS = ["inverted", "huge", "huge and inverted", "tiny", "late", "of another kind"]


@settings(max_examples=15, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3),
    seed=st.integers(100, 400),
    seconds=st.sampled_from([0.25, 0.5]),
)
def test_three_faulty_headsets_of_sixteen_do_no_harm(
    fleet_world: FakePlatform, kinds: list[str], seed: int, seconds: float
) -> None:
    """A new headset's gain with them in the fleet is within half a dB of its gain without."""
    deps, plant = fleet_world.deps, Plant(seed)
    intact = list(healthy()[len(kinds) :])
    gains, neighbour_gains = [], []
    now = Statistics.measure(*plant.process(seconds, seed), plant.secondary, TAPS, RATE)
    for members in (intact, [*intact, *(broken(kind, i) for i, kind in enumerate(kinds))]):
        if deps.devices.get("newcomer"):
            devices.remove("newcomer", ALICE, deps)
        device = register("newcomer", plant, deps)
        key = fleet_statistics.fleet_key(device, NOISE)
        replace_fleet(key, members, deps)
        neighbour = fleet_statistics.nearest(device, NOISE, now, deps)
        assert neighbour is not None
        neighbour_gains.append(plant.gain_db(neighbour.w))
        control.process_snapshot("newcomer", snapshot(plant, seconds, seed=seed), deps)
        gains.append(plant.gain_db(filter_of("newcomer", deps)))
    for without, with_them in (gains, neighbour_gains):
        assert with_them > without - 0.5


def private_snapshot(plant: Plant, **otherwise: Callable[[Any], Any]) -> bytes:
    """Return a snapshot in private mode with falsified statistics."""
    x, d = plant.process(1.0, seed=5)
    measured = Statistics.measure(x, d, plant.secondary, TAPS, RATE)
    wrong = replace(measured, **{name: change(getattr(measured, name)) for name, change in otherwise.items()})
    fields = {"statistics": wrong.to_bytes(), "summary": summary(x, RATE)}
    return Snapshot(1, RATE, RATE, "", **fields).encode()


def times(factor: float) -> dict[str, Callable[[Any], Any]]:
    return dict.fromkeys(("autocorrelation", "crosscorrelation", "energy"), lambda value: factor * value)


def signs(r: np.ndarray) -> np.ndarray:
    """Return an autocorrelation that no sound has."""
    return r[0] * np.where(np.arange(r.size) % 3, -1.0, 1.0)


EXTREME = {
    "beyond all numbers": (times(1e33), "samples must be within"),
    "thunder": (times(1e9), "mean power"),
    "loud": (times(1e6), ""),
    "whisper": (times(1e-25), ""),
    "inverted": ({"crosscorrelation": np.negative}, ""),
    "more alike than can be": (
        {"crosscorrelation": lambda p: 1e6 * p},
        "exceed the limit given by the energies",
    ),
    "of no sound": ({"autocorrelation": signs}, ""),
    "of no time": ({"samples": lambda _: 0.0}, ""),
    "of all time": ({"samples": lambda _: 1e30}, "at most 16000 samples"),
}


def test_extreme_statistics_are_refused_or_do_no_harm(fleet_world: FakePlatform) -> None:
    deps, seconds = fleet_world.deps, 0.25
    newcomers = {seed: Plant(seed) for seed in range(700, 704)}
    gains = []
    for misled in (False, True):
        key = fleet_statistics.fleet_key(register(f"first-{misled}", Plant(1), deps), NOISE)
        replace_fleet(key, healthy()[: fleet_statistics.MAX_CONTRIBUTIONS - len(EXTREME)], deps)
        for i, (kind, (otherwise, why)) in enumerate(EXTREME.items() if misled else ()):
            name = f"extreme-{i}"
            register(name, Plant(600 + i), deps)
            refused = nullcontext() if not why else pytest.raises(control.Refused, match=why)
            with refused:
                control.process_snapshot(name, private_snapshot(Plant(600 + i), **otherwise), deps)
            assert bool(why) == (deps.controls.get(name) is None), kind
        for seed, plant in newcomers.items():
            name = f"newcomer-{seed}-{misled}"
            register(name, plant, deps)
            control.process_snapshot(name, snapshot(plant, seconds, seed=seed), deps)
            gains.append(plant.gain_db(filter_of(name, deps)))
    assert {*contributors(device_of("first-True", fleet_world), NOISE, deps)} & {
        f"extreme-{i}" for i in range(len(EXTREME))
    }
    assert np.array(gains[len(newcomers) :]) == pytest.approx(np.array(gains[: len(newcomers)]), abs=0.5)


def test_a_path_that_is_far_too_loud_is_not_contributed(platform: FakePlatform) -> None:
    deps, plant = platform.deps, Plant(1)
    with pytest.raises(control.Refused, match=r"at most 100 \(got 1e\+06\)"):
        devices.register(Registration("deafening", [0.0, 1e6, 0.0], "m1", RATE, TAPS), ALICE, deps)
    device = register("deafening", plant, deps)
    deps.devices.put(device.replace(secondary=(1e6 * plant.secondary).astype("<f4").tobytes()))
    with pytest.raises(control.Refused, match="measure the path again"):
        control.process_snapshot("deafening", snapshot(plant, 1.0, seed=1), deps)
    assert platform.counts["fleet_contributions"] == 0


def test_an_unreadable_contribution_is_skipped(fleet_world: FakePlatform) -> None:
    deps, plant = fleet_world.deps, Plant(1)
    device = register("reader", plant, deps)
    endless = np.full(TAPS, np.inf)
    junk = replace(Statistics.from_stored_bytes(healthy()[0].statistics), autocorrelation=endless).to_bytes()
    members = (msgspec.structs.replace(healthy()[0], device="junk", statistics=junk), healthy()[1])
    key = fleet_statistics.fleet_key(device, NOISE)
    replace_fleet(key, members, deps)
    now = Statistics.measure(*plant.process(0.25, seed=7), plant.secondary, TAPS, RATE)
    neighbour = fleet_statistics.nearest(device, NOISE, now, deps)
    assert neighbour is not None
    assert neighbour.w == pytest.approx(np.frombuffer(healthy()[1].taps, "<f2").astype(np.float32))
