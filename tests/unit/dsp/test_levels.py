"""Levels and attenuation agree with sound level meters."""

import numpy as np
import pytest

from anc.dsp import (
    a_weighted_attenuation_db,
    a_weighting_db,
    attenuation_db,
    level_dbfs,
    onset,
)

RATE = 48_000
SECOND = np.arange(RATE) / RATE


def tone(frequency):
    return np.sin(2 * np.pi * frequency * SECOND)


def test_levels_are_relative_to_full_scale():
    assert level_dbfs(np.ones(10)) == pytest.approx(0)
    assert level_dbfs(tone(1000)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(np.zeros(10)) == -200


@pytest.mark.parametrize(
    ("frequency", "weight"),
    [
        (31.5, -39.4),
        (63, -26.2),
        (125, -16.1),
        (250, -8.6),
        (500, -3.2),
        (1000, 0.0),
        (2000, 1.2),
        (4000, 1.0),
        (8000, -1.1),
    ],
)
def test_a_weighting_follows_the_standard(frequency, weight):
    # IEC 61672-1:2013, table 3.
    # The table means the exact frequencies of base ten, 125.89 for 125.
    exact = 1000 * 10 ** (np.round(10 * np.log10(frequency / 1000)) / 10)
    assert a_weighting_db(exact) == pytest.approx(weight, abs=0.06)


def test_attenuation_is_positive_when_noise_falls():
    assert attenuation_db(tone(100), 0.1 * tone(100)) == pytest.approx(20)
    assert attenuation_db(tone(100), 2 * tone(100)) == pytest.approx(-6.02, abs=0.01)


def test_attenuation_of_and_to_silence_is_finite():
    assert attenuation_db(np.zeros(8), np.ones(8)) == 0
    assert attenuation_db(np.ones(8), np.zeros(8)) == 200


def test_a_weighted_attenuation_depends_on_the_frequency():
    before = tone(63) + 0.1 * tone(1000)
    rumble_gone, hiss_gone = 0.1 * tone(1000), tone(63)
    assert attenuation_db(before, rumble_gone) == pytest.approx(20, abs=0.1)
    assert a_weighted_attenuation_db(before, rumble_gone, RATE) < 3
    assert a_weighted_attenuation_db(before, hiss_gone, RATE) > 5


@pytest.mark.parametrize("quiet", [0.0, 0.2, 0.7])
def test_the_onset_of_a_noise_is_the_end_of_the_quiet_before_it(quiet):
    noise = np.random.default_rng(0).normal(0, 0.1, 3200)
    noise[: int(quiet * noise.size)] *= 0.01
    begun = onset(noise) / noise.size
    assert quiet - 1 / 32 <= begun <= quiet


def test_the_onset_leaves_at_least_a_quarter_of_the_sound():
    x = np.zeros(3200)
    x[-400:] = 0.1
    assert onset(x) == 2400


@pytest.mark.parametrize(
    "x", [np.zeros(3200), np.ones(3200), np.ones(31), np.r_[np.ones(1600), np.zeros(1600)]]
)
def test_the_onset_is_zero_without_quiet_before_the_noise(x):
    assert onset(x) == 0


@pytest.mark.parametrize("x", [[], [np.nan] * 64])
def test_the_onset_of_invalid_samples_is_refused(x):
    with pytest.raises(ValueError, match="x"):
        onset(x)
