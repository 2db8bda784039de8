"""Levels and spectrum of a stream, for any block lengths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.dsp import a_weighting_db
from anc.dsp.meter import Meter, power_to_dbfs

RATE = 16_000


def metered(samples: np.ndarray, rate: int = RATE) -> Meter:
    meter = Meter(rate)
    meter.add(samples)
    return meter


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(int(rate * seconds))


def sine(hz: float, seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 3 * RATE), where=st.floats(0, 1), rate=st.sampled_from([8_000, 16_000, 44_100]))
def test_the_powers_of_all_frequencies_add_up_to_the_power_of_the_signal(n, where, rate):
    samples = 0.1 * np.random.default_rng(n).standard_normal(n)
    samples[: int(where * (n - 1))] = 0
    meter = metered(samples, rate)
    _, power = meter.power()
    assert power.sum() == pytest.approx(np.mean(samples**2), rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 40_000), min_size=1, max_size=6))
def test_the_result_does_not_depend_on_block_lengths(cuts):
    samples = noise(3.0)
    whole, parts = metered(samples), Meter(RATE)
    for part in np.split(samples, np.cumsum(cuts)):
        if part.size:
            parts.add(part)
    assert parts.samples == whole.samples
    assert parts.dbfs_by_second == pytest.approx(whole.dbfs_by_second, abs=1e-6)
    assert parts.third_octaves() == pytest.approx(whole.third_octaves(), rel=1e-5)
    assert (parts.peak, parts.clipped) == (whole.peak, whole.clipped)


def test_a_restored_meter_continues_bit_for_bit():
    first, second = np.split(noise(3.3), [RATE + 77])
    whole = metered(first)
    restored = Meter.from_state(whole.state())
    whole.add(second)
    restored.add(second)
    assert restored.state() == whole.state()


@pytest.mark.parametrize("hz", [31.5, 63, 125, 250, 500, 1000, 2000, 4000])
def test_a_tone_is_in_its_octave_and_its_third_octave(hz):
    meter = metered(sine(hz))
    power = 0.125
    assert meter.octaves()[hz] == pytest.approx(power, rel=0.02)
    assert meter.third_octaves()[hz] == pytest.approx(power, rel=0.05)
    assert sum(meter.octaves().values()) == pytest.approx(power, rel=0.02)


def test_white_noise_rises_by_three_decibels_per_octave():
    levels = power_to_dbfs(list(metered(noise(20.0)).octaves().values()))
    assert np.diff(levels) == pytest.approx(np.full(levels.size - 1, 3.01), abs=0.6)


def test_only_complete_bands_below_half_the_rate_are_reported():
    assert max(metered(noise(1.0)).third_octaves()) == 6300
    assert max(metered(noise(1.0)).octaves()) == 4000
    assert max(metered(noise(1.0, 48_000), 48_000).octaves()) == 16_000


@pytest.mark.parametrize("hz", [50, 100, 1000, 4000])
def test_the_a_weighted_power_of_a_tone_follows_the_standard(hz):
    level = power_to_dbfs(metered(sine(hz)).a_weighted_power())
    assert level == pytest.approx(power_to_dbfs(0.125) + float(a_weighting_db(hz)), abs=0.1)


def test_each_second_has_a_level_and_the_last_may_be_shorter():
    samples = np.concatenate([np.full(RATE, 0.1), np.full(RATE, 0.01), np.full(RATE // 4, 1e-9), [0.0]])
    assert metered(samples).dbfs_by_second == pytest.approx([-20, -40, -120], abs=1e-4)


def test_clipping_peak_and_offset_are_counted():
    samples = np.array([0.0, 1.0, -1.0, 32767 / 32768, 32766 / 32768, 0.5])
    meter = metered(samples)
    assert (meter.clipped, meter.peak) == (3, 1.0)
    assert meter.mean == pytest.approx(samples.mean())


@pytest.mark.parametrize("samples", [[], [np.nan], [[0.0, 0.0]], [np.inf]])
def test_invalid_samples_are_refused_and_change_nothing(samples):
    meter = metered(noise(1.0))
    before = meter.state()
    with pytest.raises(ValueError, match="samples"):
        meter.add(np.array(samples))
    assert meter.state() == before


@pytest.mark.parametrize("extra", [1, 16, RATE // 4 - 1])
def test_a_short_last_piece_is_no_drop(extra: int):
    hum = np.sin(2 * np.pi * 50 * np.arange(5 * RATE + extra) / RATE)
    assert metered(hum).dbfs_by_second == pytest.approx([-3.01] * 6, abs=0.01)
    assert metered(hum[:extra]).dbfs_by_second.size == 1
