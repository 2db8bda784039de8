"""Synthetic alarms and everyday sounds have the documented properties."""

import numpy as np
import pytest

from training.clips.sources import MAKERS
from training.synthesis import (
    RATE,
    alarm_t3,
    cabin,
    coloured_noise,
    distort_and_reverberate,
    doppler,
    hi_lo,
    wail,
)
from training.synthesis.tonal import keyed_tone, melody


def loudest_frequency(x: np.ndarray, every: int = 1600) -> np.ndarray:
    frames = x[: len(x) // every * every].reshape(-1, every) * np.hanning(every)
    return np.argmax(np.abs(np.fft.rfft(frames)), axis=1) * RATE / every


@pytest.mark.parametrize("name", MAKERS)
def test_a_synthetic_sound_has_its_length_is_finite_and_reproducible(name: str) -> None:
    maker = MAKERS[name][0]
    first, again, other = (maker(3 * RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (3 * RATE,)
    assert np.isfinite(first).all()
    assert np.max(np.abs(first)) > 0.1
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_wail_sweeps_over_at_least_a_quarter_octave() -> None:
    for seed in range(8):
        pitch = loudest_frequency(wail(10 * RATE, np.random.default_rng(seed)))
        assert np.quantile(pitch, 0.95) / np.quantile(pitch, 0.05) > 2**0.25


def test_hi_lo_has_two_pitches() -> None:
    spectrum = np.abs(np.fft.rfft(hi_lo(8 * RATE, np.random.default_rng(3)))) ** 2
    frequency = np.fft.rfftfreq(8 * RATE, 1 / RATE)
    low = spectrum[(frequency > 300) & (frequency < 1500)]
    assert np.sort(low)[-len(low) // 20 :].sum() > 0.8 * low.sum()


def test_a_melody_has_more_than_two_pitches() -> None:
    for seed in range(8):
        pitch = loudest_frequency(melody(12 * RATE, np.random.default_rng(seed)), 2000)
        steps, counts = np.unique(np.rint(12 * np.log2(np.maximum(pitch, 60) / 440)), return_counts=True)
        assert len(steps[counts > 2]) > 2, seed


def test_a_keyed_tone_has_no_regular_rhythm() -> None:
    for seed in (1, 2, 3):
        x = keyed_tone(20 * RATE, np.random.default_rng(seed))
        loud = np.abs(x).reshape(-1, RATE // 200).max(axis=1) > 0.5 * np.max(np.abs(x))
        gaps = np.diff(np.flatnonzero(np.diff(loud.astype(int)) == 1))
        assert len(set(gaps[gaps > 2].tolist())) > 2, seed


def test_a_t3_alarm_sounds_three_times_and_pauses() -> None:
    x = alarm_t3(12 * RATE, np.random.default_rng(0))
    loud = np.abs(x).reshape(-1, RATE // 100).max(axis=1) > 0.2
    starts = np.flatnonzero(np.diff(loud.astype(int)) == 1) / 100
    gaps = np.diff(starts)
    assert set(np.round(gaps, 1)) <= {0.9, 1.0, 1.1, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2, 2.3}
    long = np.flatnonzero(gaps > 1.4)
    assert set(np.diff(long)) == {3}


def test_doppler_raises_the_pitch_before_and_lowers_it_after_the_passage() -> None:
    shifted = doppler(np.full(20 * RATE, 1000.0), np.random.default_rng(4))
    assert shifted[0] >= shifted[-1]
    assert np.all(np.abs(shifted / 1000 - 1) < 0.11)


def test_distortion_and_reverberation_keep_the_peak_at_half() -> None:
    for seed in range(5):
        out = distort_and_reverberate(wail(RATE, np.random.default_rng(1)), np.random.default_rng(seed))
        assert np.max(np.abs(out)) == pytest.approx(0.5, rel=1e-6)


def test_coloured_noise_has_the_requested_slope() -> None:
    power = np.abs(np.fft.rfft(coloured_noise(1 << 18, 6.02, np.random.default_rng(0)))) ** 2
    frequency = np.fft.rfftfreq(1 << 18, 1 / RATE)
    octave = [power[(frequency >= f) & (frequency < 2 * f)].mean() for f in (250, 1000)]
    assert 10 * np.log10(octave[0] / octave[1]) == pytest.approx(12, abs=0.7)


def test_cabin_noise_is_low_and_stationary() -> None:
    x = cabin(8 * RATE, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(x)) ** 2
    assert power[: 8 * 500].sum() > 0.8 * power.sum()
    level = 10 * np.log10(np.square(x).reshape(8, -1).mean(axis=1))
    assert np.ptp(level) < 4
