"""A dead microphone is refused, and swapped microphones are reported to the owner."""

import numpy as np
import pytest

from anc.dsp import Statistics
from anc.noise import summary
from anc.pcm import float_to_int16
from anc.schemas.refusal import Refused
from anc.schemas.snapshot import Snapshot
from anc.services.headsets import control, device_status, devices, microphones
from anc.services.headsets.devices import Registration
from tests.fakes import ALICE, FakePlatform

RATE = 16_000


def signals(x_gain: float = 1.0, e_gain: float = 1.0, delay: int = 4) -> np.ndarray:
    """Return (n, 2): sound that reaches the error microphone `delay` samples after the reference."""
    noise = 0.1 * np.random.default_rng(3).standard_normal(6_000)
    x, e = noise[delay:], np.convolve(noise, [0.6, 0.2])[: noise.size - delay]
    return np.stack([x_gain * x, e_gain * e], axis=1)


def snapshot(pcm: np.ndarray, seq: int = 1, filter_id: str = "") -> Snapshot:
    return Snapshot(seq, RATE, len(pcm), filter_id, 0.0, pcm=float_to_int16(pcm))


@pytest.mark.parametrize(("x_gain", "e_gain", "dead"), [(0.0, 1.0, "reference"), (1.0, 0.0, "error")])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_a_constant_microphone_beside_a_working_one_is_refused(
    x_gain: float, e_gain: float, dead: str, offset: float
) -> None:
    with pytest.raises(Refused, match=f"the {dead} microphone delivers no sound"):
        microphones.check(snapshot(offset + signals(x_gain, e_gain)))


def private_snapshot(pcm: np.ndarray, seq: int = 1) -> Snapshot:
    x, d = (float_to_int16(pcm) / 32768.0).T
    statistics = Statistics.measure(x, d, [0.0, 0.5], 16, RATE).to_bytes()
    return Snapshot(seq, RATE, len(pcm), "", 0.0, statistics=statistics, summary=summary(x, RATE))


@pytest.mark.parametrize(
    ("x_gain", "e_gain", "offset", "dead"),
    [(0.0, 1.0, 0.0, "reference"), (0.0, 1.0, 0.3, "reference"), (1.0, 0.0, 0.0, "error")],
)
def test_a_constant_microphone_is_found_in_statistics_too(
    x_gain: float, e_gain: float, offset: float, dead: str
) -> None:
    with pytest.raises(Refused, match=f"the {dead} microphone delivers no sound"):
        microphones.check(private_snapshot(offset + signals(x_gain, e_gain)))


@pytest.mark.parametrize(("x_gain", "e_gain"), [(0.0, 0.0), (1e-5, 1e-5), (1.0, 1.0), (1.0, 1e-2)])
def test_statistics_of_silence_and_of_two_working_microphones_are_accepted(
    x_gain: float, e_gain: float
) -> None:
    microphones.check(private_snapshot(signals(x_gain, e_gain)))


def test_the_owner_of_a_headset_in_privacy_mode_is_told(platform: FakePlatform) -> None:
    devices.register(Registration("left", [0.0, 0.5], taps=16), ALICE, platform.deps)
    with pytest.raises(Refused) as refusal:
        control.process_snapshot("left", private_snapshot(signals(1.0, 0.0)).encode(), platform.deps)
    assert refusal.value.code == "dead_microphone"


@pytest.mark.parametrize("gain", [0.0, 1e-5, 1.0])
def test_silence_and_sound_at_both_microphones_are_accepted(gain: float) -> None:
    microphones.check(snapshot(signals(gain, gain)))


@pytest.mark.parametrize(("x_gain", "e_gain"), [(1.0, 1.0), (0.1, 1.0), (1.0, 0.1)])
def test_swapped_microphones_are_found_by_the_delay_not_by_the_level(x_gain: float, e_gain: float) -> None:
    heard = signals(x_gain, e_gain)
    assert not microphones.seem_swapped(snapshot(heard))
    assert microphones.seem_swapped(snapshot(heard[:, ::-1].copy()))


def test_nothing_is_concluded_under_control_or_without_coherence() -> None:
    swapped = signals()[:, ::-1].copy()
    assert not microphones.seem_swapped(snapshot(swapped, filter_id="0" * 16))
    independent = 0.1 * np.random.default_rng(4).standard_normal((6_000, 2))
    assert not microphones.seem_swapped(snapshot(independent))


def test_the_owner_is_told(platform: FakePlatform) -> None:
    devices.register(Registration("left", [0.0, 0.5]), ALICE, platform.deps)
    for seq in (1, 2):
        control.process_snapshot("left", snapshot(signals()[:, ::-1].copy(), seq).encode(), platform.deps)
    found = device_status.find("left", platform.deps)
    assert found.refusal
    assert (found.refusal.what, found.refusal.code, found.refused) == ("microphone", "swapped_microphones", 1)
