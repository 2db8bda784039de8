"""What one headset learned of a noise serves the next, and a broken one harms nobody."""

from collections.abc import Callable
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
from anc.noise import summary
from anc.pcm import float_to_int16
from anc.ports import Conflict, Dependencies
from anc.records import Contribution, Device, Fleet, SentFilter
from anc.schemas.snapshot import Snapshot
from anc.services.headsets import control, devices, fleet_statistics
from anc.services.headsets.devices import Registration
from tests.fakes import ALICE, Clock, FakePlatform, make_dependencies
from tests.untrained_models import untrained_model

RATE, TAPS = 16_000, 64
NOISE = "aircraft"


class Ear:
    """A head of a family: primary and secondary path differ a little from one to the next."""

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
        """Return what a filter really takes off, on sound that nobody learned from."""
        x, d = self.process(2.0, seed)
        e = d - np.convolve(np.convolve(x, w), self.secondary)[: x.size]
        return float(10 * np.log10(np.vdot(d, d) / np.vdot(e, e)))


def sinc(delay: float, n: int = 32) -> np.ndarray:
    return np.sinc(np.arange(n) - delay) * np.hamming(n + 1)[:n]


def snapshot(ear: Ear, seconds: float, seed: int, seq: int = 1) -> bytes:
    pcm = float_to_int16(np.stack(ear.process(seconds, seed), axis=1))
    return Snapshot(seq, RATE, len(pcm), "", pcm=pcm).encode()


def register(name: str, ear: Ear, deps: Dependencies) -> Device:
    request = Registration(name, ear.secondary.tolist(), model="m1", rate=RATE, taps=TAPS)
    return devices.register(request, ALICE, deps)[0]


def filter_of(name: str, deps: Dependencies) -> np.ndarray:
    known = deps.controls.get(name)
    assert known is not None
    return known.filters[0].decode()


def contribution(name: str, ear: Ear, secondary: np.ndarray, owner: str = "alice", at: float = 0.0):
    """Return what a headset with that model of its path would contribute."""
    x, d = ear.process(1.0, seed=len(name) + sum(map(ord, name)))
    w = design_control_filter(x, d, secondary, TAPS, rate=RATE).taps
    statistics = Statistics.measure(x, d, secondary, TAPS, RATE).to_bytes()
    return Contribution(name, owner, at, statistics, np.clip(w, -6e4, 6e4).astype("<f2").tobytes())


@cache
def healthy() -> tuple[Contribution, ...]:
    ears = [Ear(seed) for seed in range(fleet_statistics.MAX_CONTRIBUTIONS)]
    return tuple(contribution(f"h{i}", ear, ear.secondary) for i, ear in enumerate(ears))


def broken(kind: str, i: int) -> Contribution:
    ear = Ear(500 + i)
    secondary = {
        "inverted": -ear.secondary,
        "huge": 1e4 * ear.secondary,
        "huge and inverted": -1e4 * ear.secondary,
        "tiny": 1e-4 * ear.secondary,
        "late": np.concatenate([np.zeros(20), ear.secondary]),
        "of another kind": np.random.default_rng(i).standard_normal(16),
    }[kind]
    return contribution(f"b{i}", ear, secondary)


def test_a_headset_new_to_a_noise_uses_fleet_statistics(platform: FakePlatform) -> None:
    teacher, pupil = Ear(1), Ear(1)
    register("teacher", teacher, platform.deps)
    control.process_snapshot("teacher", snapshot(teacher, 1.0, seed=1), platform.deps)
    assert platform.counts["fleet_contributions"] == 1

    known = control_of("teacher", platform)
    device = register("pupil", pupil, platform.deps)
    now = Statistics.measure(*pupil.process(0.25, seed=7), pupil.secondary, TAPS, RATE)
    kin = fleet_statistics.nearest(device, known.noise, now, platform.deps)
    assert kin is not None
    assert kin.gain_db > 15
    assert pupil.gain_db(kin.w) > 15


def control_of(name: str, platform: FakePlatform):
    known = platform.deps.controls.get(name)
    assert known is not None
    return known


def test_a_headset_does_not_use_its_own_contribution(platform: FakePlatform) -> None:
    ear = Ear(1)
    device = register("only", ear, platform.deps)
    control.process_snapshot("only", snapshot(ear, 1.0, seed=1), platform.deps)
    now = Statistics.measure(*ear.process(0.25, seed=7), ear.secondary, TAPS, RATE)
    assert fleet_statistics.nearest(device, control_of("only", platform).noise, now, platform.deps) is None


def test_contributions_are_separate_by_model_length_and_noise(platform: FakePlatform) -> None:
    device = register("one", Ear(1), platform.deps)
    names = {
        fleet_statistics.fleet_key(device, NOISE),
        fleet_statistics.fleet_key(device, "rail"),
        fleet_statistics.fleet_key(device.replace(model="m2"), NOISE),
        fleet_statistics.fleet_key(device.replace(taps=32), NOISE),
        fleet_statistics.fleet_key(device.replace(rate=48_000), NOISE),
    }
    assert len(names) == 5


def test_a_headset_has_one_contribution_at_limited_intervals(platform: FakePlatform) -> None:
    ear = Ear(1)
    register("one", ear, platform.deps)
    for seq in range(1, 5):
        control.process_snapshot("one", snapshot(ear, 1.0, seed=seq, seq=seq), platform.deps)
    assert platform.counts["fleet_contributions"] == 1
    platform.clock.now += fleet_statistics.CONTRIBUTION_INTERVAL_S + 1
    control.process_snapshot("one", snapshot(ear, 1.0, seed=9, seq=9), platform.deps)
    assert platform.counts["fleet_contributions"] == 2
    (noise,) = control_of("one", platform).shared
    known = platform.deps.fleets.get(fleet_statistics.fleet_key(device_of("one", platform), noise))
    assert known is not None
    assert [each.device for each in known.contributions] == ["one"]


def device_of(name: str, platform: FakePlatform) -> Device:
    device = platform.deps.devices.get(name)
    assert device is not None
    return device


def test_a_filter_beyond_the_drivers_limit_is_not_used(platform: FakePlatform) -> None:
    ear = Ear(1)
    register("teacher", ear, platform.deps)
    control.process_snapshot("teacher", snapshot(ear, 1.0, seed=1), platform.deps)
    loud = peak_gain_db(filter_of("teacher", platform.deps))
    pupil = register("pupil", ear, platform.deps)
    now = Statistics.measure(*ear.process(0.25, seed=7), ear.secondary, TAPS, RATE)
    noise = control_of("teacher", platform).noise
    assert fleet_statistics.nearest(pupil.replace(max_gain_db=loud + 0.1), noise, now, platform.deps)
    assert fleet_statistics.nearest(pupil.replace(max_gain_db=loud - 0.1), noise, now, platform.deps) is None


def test_filters_respect_the_drivers_limit_and_those_at_the_limit_are_counted(
    platform: FakePlatform,
) -> None:
    ear = Ear(1)
    register("free", ear, platform.deps)
    control.process_snapshot("free", snapshot(ear, 1.0, seed=1), platform.deps)
    assert platform.counts["filters_at_drivers_limit"] == 0
    limit = peak_gain_db(filter_of("free", platform.deps)) - 12
    platform.deps.devices.put(register("weak", ear, platform.deps).replace(max_gain_db=limit))
    control.process_snapshot("weak", snapshot(ear, 1.0, seed=1), platform.deps)
    assert peak_gain_db(filter_of("weak", platform.deps)) == pytest.approx(limit, abs=0.05)
    assert platform.counts["filters_at_drivers_limit"] == 1


@pytest.mark.parametrize("seconds", [0.25, 0.4])
def test_a_short_snapshot_is_not_contributed(platform: FakePlatform, seconds: float) -> None:
    register("one", Ear(1), platform.deps)
    control.process_snapshot("one", snapshot(Ear(1), seconds, seed=1), platform.deps)
    assert platform.counts["fleet_contributions"] == 0


def test_a_refused_snapshot_is_not_contributed(platform: FakePlatform) -> None:
    register("one", Ear(1), platform.deps)
    loud = np.clip(
        float_to_int16(np.stack(Ear(1).process(1.0, 1), axis=1)).astype(np.int32) * 400, -32768, 32767
    )
    data = Snapshot(1, RATE, len(loud), "", pcm=loud.astype(np.int16)).encode()
    with pytest.raises(control.Refused, match="samples are clipped, at most 1%"):
        control.process_snapshot("one", data, platform.deps)
    assert platform.counts["fleet_contributions"] == 0
    assert platform.deps.controls.get("one") is None


def test_the_largest_fleet_fits_into_an_item_of_dynamodb() -> None:
    of_1024 = Contribution("d" * 64, "o" * 128, 1.8e9, bytes(8 * 1024 + 100), bytes(2 * 1024))
    full = Fleet(key="k" * 150, group="m" * 64, contributions=(of_1024,) * fleet_statistics.MAX_CONTRIBUTIONS)
    assert len(msgspec.msgpack.encode(full)) < 200_000


def test_a_full_fleet_drops_its_oldest_contribution(platform: FakePlatform) -> None:
    found = SentFilter.of(healthy()[0].taps, 1, RATE, 10.0)
    statistics = Statistics.from_bytes(healthy()[0].statistics)
    device = register("some", Ear(1), platform.deps)
    for i in range(fleet_statistics.MAX_CONTRIBUTIONS + 4):
        platform.clock.now += 1
        fleet_statistics.contribute(device.replace(key=f"h{i}"), NOISE, statistics, found, platform.deps)
    known = platform.deps.fleets.get(fleet_statistics.fleet_key(device, NOISE))
    assert known is not None
    assert [each.device for each in known.contributions] == [
        f"h{i}" for i in range(4, fleet_statistics.MAX_CONTRIBUTIONS + 4)
    ]


def test_one_owner_cannot_displace_all_others(platform: FakePlatform) -> None:
    found = SentFilter.of(healthy()[0].taps, 1, RATE, 10.0)
    statistics = Statistics.from_bytes(healthy()[0].statistics)
    device = register("some", Ear(1), platform.deps)
    for i in range(8):
        fleet_statistics.contribute(
            device.replace(key=f"honest{i}", group=f"o{i}"), NOISE, statistics, found, platform.deps
        )
    for i in range(100):
        platform.clock.now += 1
        fleet_statistics.contribute(
            device.replace(key=f"flood{i}", group="mallory"), NOISE, statistics, found, platform.deps
        )
    known = platform.deps.fleets.get(fleet_statistics.fleet_key(device, NOISE))
    assert known is not None
    assert sum(each.owner != "mallory" for each in known.contributions) == 8


def test_old_contributions_expire(platform: FakePlatform) -> None:
    found = SentFilter.of(healthy()[0].taps, 1, RATE, 10.0)
    statistics = Statistics.from_bytes(healthy()[0].statistics)
    device = register("some", Ear(1), platform.deps)
    fleet_statistics.contribute(device.replace(key="old"), NOISE, statistics, found, platform.deps)
    platform.clock.now += fleet_statistics.CONTRIBUTION_LIFETIME_S / 2
    fleet_statistics.contribute(device.replace(key="young"), NOISE, statistics, found, platform.deps)
    platform.clock.now += fleet_statistics.CONTRIBUTION_LIFETIME_S / 2 + 1
    fleet_statistics.contribute(device.replace(key="new"), NOISE, statistics, found, platform.deps)
    known = platform.deps.fleets.get(fleet_statistics.fleet_key(device, NOISE))
    assert known is not None
    assert [each.device for each in known.contributions] == ["young", "new"]


def test_of_two_concurrent_contributions_one_is_dropped_without_failing_the_snapshot(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(record: Fleet) -> Fleet:
        raise Conflict(record.key)

    monkeypatch.setattr(platform.deps.fleets, "put", overtaken)
    register("one", Ear(1), platform.deps)
    control.process_snapshot("one", snapshot(Ear(1), 1.0, seed=1), platform.deps)
    assert platform.counts["fleet_conflicts"] == 1
    assert Ear(1).gain_db(filter_of("one", platform.deps)) > 15


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
    """What a newcomer gets with them in the fleet is what it gets without, within half a dB."""
    deps, ear = fleet_world.deps, Ear(seed)
    intact = list(healthy()[len(kinds) :])
    gains, kins_gains = [], []
    now = Statistics.measure(*ear.process(seconds, seed), ear.secondary, TAPS, RATE)
    for members in (intact, [*intact, *(broken(kind, i) for i, kind in enumerate(kinds))]):
        devices_gone(deps)
        device = register("newcomer", ear, deps)
        key = fleet_statistics.fleet_key(device, NOISE)
        deps.fleets.delete(key)
        deps.fleets.put(Fleet(key=key, contributions=tuple(members)))
        kin = fleet_statistics.nearest(device, NOISE, now, deps)
        assert kin is not None
        kins_gains.append(ear.gain_db(kin.w))
        control.process_snapshot("newcomer", snapshot(ear, seconds, seed=seed), deps)
        gains.append(ear.gain_db(filter_of("newcomer", deps)))
    for without, with_them in (gains, kins_gains):
        assert with_them > without - 0.5


def told(ear: Ear, **otherwise: Callable[[Any], Any]) -> bytes:
    """Return a snapshot in privacy mode whose statistics are other than what was heard."""
    x, d = ear.process(1.0, seed=5)
    heard = Statistics.measure(x, d, ear.secondary, TAPS, RATE)
    wrong = replace(heard, **{name: change(getattr(heard, name)) for name, change in otherwise.items()})
    fields = {"statistics": wrong.to_bytes(), "summary": summary(x, RATE)}
    return Snapshot(1, RATE, RATE, "", **fields).encode()


def times(factor: float) -> dict[str, Callable[[Any], Any]]:
    return dict.fromkeys(("autocorrelation", "crosscorrelation", "energy"), lambda value: factor * value)


def signs(r: np.ndarray) -> np.ndarray:
    """Return what no sound has for its autocorrelation."""
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
    pupils = {seed: Ear(seed) for seed in range(700, 704)}
    gains = []
    for misled in (False, True):
        key = fleet_statistics.fleet_key(register(f"first-{misled}", Ear(1), deps), NOISE)
        deps.fleets.delete(key)
        deps.fleets.put(
            Fleet(key=key, contributions=healthy()[: fleet_statistics.MAX_CONTRIBUTIONS - len(EXTREME)])
        )
        for i, (kind, (otherwise, why)) in enumerate(EXTREME.items() if misled else ()):
            name = f"extreme-{i}"
            register(name, Ear(600 + i), deps)
            refused = nullcontext() if not why else pytest.raises(control.Refused, match=why)
            with refused:
                control.process_snapshot(name, told(Ear(600 + i), **otherwise), deps)
            assert bool(why) == (deps.controls.get(name) is None), kind
        for seed, ear in pupils.items():
            name = f"pupil-{seed}-{misled}"
            register(name, ear, deps)
            control.process_snapshot(name, snapshot(ear, seconds, seed=seed), deps)
            gains.append(ear.gain_db(filter_of(name, deps)))
    known = deps.fleets.get(key)
    assert known is not None
    assert {one.device for one in known.contributions} & {f"extreme-{i}" for i in range(len(EXTREME))}
    assert np.array(gains[len(pupils) :]) == pytest.approx(np.array(gains[: len(pupils)]), abs=0.5)


def test_a_path_that_is_far_too_loud_is_refused_and_not_contributed(
    platform: FakePlatform,
) -> None:
    deps, ear = platform.deps, Ear(1)
    with pytest.raises(control.Refused, match=r"at most 100 \(got 1e\+06\)"):
        devices.register(Registration("deafening", [0.0, 1e6, 0.0], "m1", RATE, TAPS), ALICE, deps)
    device = register("deafening", ear, deps)
    deps.devices.put(device.replace(secondary=(1e6 * ear.secondary).astype("<f4").tobytes()))
    with pytest.raises(control.Refused, match="measure the path again"):
        control.process_snapshot("deafening", snapshot(ear, 1.0, seed=1), deps)
    assert platform.counts["fleet_contributions"] == 0


def test_an_unreadable_contribution_is_skipped(fleet_world: FakePlatform) -> None:
    deps, ear = fleet_world.deps, Ear(1)
    device = register("reader", ear, deps)
    endless = np.full(TAPS, np.inf)
    junk = replace(Statistics.from_bytes(healthy()[0].statistics), autocorrelation=endless).to_bytes()
    members = (msgspec.structs.replace(healthy()[0], device="junk", statistics=junk), healthy()[1])
    key = fleet_statistics.fleet_key(device, NOISE)
    deps.fleets.delete(key)
    deps.fleets.put(Fleet(key=key, contributions=members))
    now = Statistics.measure(*ear.process(0.25, seed=7), ear.secondary, TAPS, RATE)
    kin = fleet_statistics.nearest(device, NOISE, now, deps)
    assert kin is not None
    assert kin.w == pytest.approx(np.frombuffer(healthy()[1].taps, "<f2").astype(np.float32))


def devices_gone(deps: Dependencies) -> None:
    if deps.devices.get("newcomer"):
        devices.remove("newcomer", ALICE, deps)
