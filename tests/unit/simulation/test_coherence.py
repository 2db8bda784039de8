"""The attenuation that coherence allows."""

import numpy as np
import pytest

from simulation.coherence import (
    THIRD_OCTAVES_HZ,
    coherence_limit,
    diffuse_coherence,
    third_octave_levels_db,
    third_octave_limits_db,
)

RATE = 16_000


@pytest.mark.parametrize("coherence", [0.0, 0.5, 0.9, 0.99])
def test_a_known_coherence_and_its_limit(coherence: float):
    x, other = np.random.default_rng(0).standard_normal((2, 60 * RATE))
    d = np.sqrt(coherence) * np.roll(x, 3) + np.sqrt(1 - coherence) * other
    estimate = coherence_limit(x, d, RATE)
    expected_db = -10 * np.log10(1 - coherence)
    assert estimate.coherence[1:-1].mean() == pytest.approx(coherence, abs=0.01)
    assert estimate.limit_db[1:-1].mean() == pytest.approx(expected_db, abs=0.1)
    assert estimate.broadband_db == pytest.approx(expected_db, abs=0.1)
    np.testing.assert_allclose(third_octave_limits_db(x, d, RATE), expected_db, atol=1.0)


def test_the_broadband_limit_is_weighted_with_the_energy_of_the_noise():
    t = np.arange(10 * RATE) / RATE
    tone, hiss = np.sin(2 * np.pi * 500 * t), 0.01 * np.random.default_rng(0).standard_normal(t.size)
    estimate = coherence_limit(tone, tone + hiss, RATE)
    assert estimate.broadband_db == pytest.approx(37, abs=1)  # of the noise, only the tone is coherent
    assert np.median(estimate.limit_db) < 1


def test_the_limit_of_equal_signals_is_bounded():
    x = np.random.default_rng(0).standard_normal(RATE)
    assert coherence_limit(x, x, RATE).broadband_db == pytest.approx(60)
    assert coherence_limit(np.zeros(RATE), np.zeros(RATE), RATE).broadband_db == 0


def test_the_level_of_a_tone_is_in_its_third_octave():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    levels = third_octave_levels_db(tone, RATE)
    assert THIRD_OCTAVES_HZ[int(np.argmax(levels))] == 1000
    assert np.sort(levels)[-2] < levels.max() - 60


def test_a_diffuse_field_is_coherent_at_low_frequencies_only():
    gamma2 = diffuse_coherence([0, 100, 1000, 4900], 0.035)
    assert gamma2 == pytest.approx([1, 1, 0.87, 0], abs=0.01)


def test_too_short_signals_are_rejected():
    with pytest.raises(ValueError, match="at least 4096 samples"):
        coherence_limit(np.ones(4000), np.ones(4000), RATE)
