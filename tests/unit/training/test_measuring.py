"""Augmentation, voting, thresholds and calibration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.noise.classifier import vote
from anc.noise.features import BANDS, WINDOW, log_mel, quantise
from anc.noise.network import sigmoid
from training.augmentation import POWER_OF_BYTE, augment, coloured_noise, mix
from training.calibration import MAX_FALSE_ALARM_RATE, shift_for, temperature_of, thresholds_of, voted


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


def test_thresholds_keep_the_false_alarm_rate() -> None:
    rng = np.random.default_rng(0)
    negatives = [rng.beta(1, 8, (17, 3)) for _ in range(400)]
    fired = np.concatenate([voted(scores) for scores in negatives]) > thresholds_of(negatives)
    assert fired.mean(axis=0) == pytest.approx(list(MAX_FALSE_ALARM_RATE.values()), abs=5e-4)
    assert sum(MAX_FALSE_ALARM_RATE.values()) <= 0.0101


def test_training_and_classifier_vote_equally() -> None:
    scores = np.random.default_rng(0).uniform(size=(9, 3))
    assert np.array_equal(voted(scores).max(axis=0), vote(scores))


def test_the_shift_moves_thresholds_to_the_operating_point() -> None:
    thresholds = np.array([0.2, 0.5, 0.97])
    logits = np.log(thresholds / (1 - thresholds))
    assert sigmoid(logits + shift_for(thresholds, 0.85)) == pytest.approx(0.85)


def test_overconfident_logits_get_a_higher_temperature() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (4000, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(4, p=row) for row in p])
    assert temperature_of(logits, truth, np.eye(4)) == pytest.approx(1, rel=0.1)
    assert temperature_of(2.5 * logits, truth, np.eye(4)) == pytest.approx(2.5, rel=0.1)
