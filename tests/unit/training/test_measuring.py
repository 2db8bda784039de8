"""Augmentation, thresholds and calibration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.noise.features import BANDS, WINDOW, log_mel, quantise
from anc.noise.network import sigmoid
from training.calibration import (
    LOWEST,
    MAX_CRIES,
    MAX_OTHERS,
    peak,
    shift_for,
    temperature_of,
    threshold_of,
)
from training.clips.augmentation import POWER_OF_BYTE, augment, coloured_noise, mix


def spectrogram(seed: int, slope: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.normal(0, 0.1, 18000), np.ones(slope) / slope, mode="same")
    return log_mel(quantise(noise, 16000), 16000)[:WINDOW]


def test_mixing_spectrograms_equals_mixing_sounds() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 0.1, 18000), np.convolve(rng.normal(0, 0.1, 18000), np.ones(8) / 8, mode="same")
    b *= np.sqrt(np.mean(a**2) / np.mean(b**2)) / 10 ** (6 / 20)
    spectrograms = [POWER_OF_BYTE[log_mel(quantise(x, 16000), 16000)[None, :WINDOW]] for x in (a, b, a + b)]
    mixed = mix(spectrograms[0], spectrograms[1], [6.0])
    true, made = (10 * np.log10(x[0].mean(axis=0)) for x in (spectrograms[2], mixed))
    assert np.median(np.abs(true - made)) < 0.7


@given(ratio=st.floats(-20, 40))
@settings(max_examples=20, deadline=None)
def test_a_mixture_has_the_requested_ratio(ratio: float) -> None:
    a, b = POWER_OF_BYTE[spectrogram(1)[None]], POWER_OF_BYTE[spectrogram(2, slope=6)[None]]
    added = mix(a, b, [ratio]) - a
    again = mix(added, a, [0.0]) - added
    # What was added is `ratio` below a: scaling a onto it takes just that.
    scale = 10 * np.log10(np.median(again / a))
    assert scale == pytest.approx(-ratio, abs=0.2)


def test_augmented_spectrograms_are_valid_and_differ() -> None:
    x = POWER_OF_BYTE[np.stack([spectrogram(seed) for seed in range(6)])]
    one, two = (augment(x, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.shape == (6, WINDOW, BANDS)
    assert one.dtype == np.uint8
    assert not np.array_equal(one, two)


def test_coloured_noise_fluctuates_like_real_noise() -> None:
    made = 10 * np.log10(coloured_noise(40, np.random.default_rng(0)))
    real = np.concatenate(
        [log_mel(quantise(np.random.default_rng(s).normal(0, 0.1, 20000), 16000), 16000) for s in range(20)]
    )
    for band in (10, 40, 70):
        assert made[:, :, band].std(axis=1).mean() == pytest.approx(real[:, band].std(), rel=0.35)


def test_the_threshold_keeps_the_shares_of_cries_and_of_other_sounds_that_may_fire() -> None:
    rng = np.random.default_rng(0)
    cries, others = rng.beta(2, 5, 400).tolist(), rng.beta(1, 8, 2000).tolist()
    threshold = threshold_of(cries, others)
    assert np.mean(np.array(cries) >= threshold) == pytest.approx(MAX_CRIES, abs=0.003)
    assert np.mean(np.array(others) >= threshold) <= MAX_OTHERS
    assert threshold_of([], [0.0] * 50) == LOWEST


def test_a_recording_fires_where_two_of_three_windows_do() -> None:
    assert peak(np.array([[0.1, 0, 0], [0.9, 0, 0], [0.2, 0.5, 0], [0, 0.6, 0]])) == 0.5


def test_the_shift_moves_a_threshold_to_the_operating_point() -> None:
    for threshold in (0.2, 0.5, 0.97):
        logit = np.log(threshold / (1 - threshold))
        assert sigmoid(logit + shift_for(threshold, 0.85)) == pytest.approx(0.85)


def test_overconfident_logits_get_a_higher_temperature() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (4000, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(4, p=row) for row in p])
    assert temperature_of(logits, truth, np.eye(4)) == pytest.approx(1, rel=0.1)
    assert temperature_of(2.5 * logits, truth, np.eye(4)) == pytest.approx(2.5, rel=0.1)
