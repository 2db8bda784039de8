"""Linear prediction over a horizon uses no later samples."""

import numpy as np
import pytest

from anc.dsp import Predictor, attenuation_db

RATE = 16_000


def attenuation(x, horizon, taps=256):
    e = Predictor(taps, horizon).process(x)[1]
    return attenuation_db(x[x.size // 2 :], e[x.size // 2 :])


def predictions_by_definition(x, taps, horizon, mu, eps=1e-6):
    """Return predictions by definition, with samples up to n - horizon only."""
    past, w, prediction = (
        np.concatenate([np.zeros(taps - 1 + horizon), x]),
        np.zeros(taps),
        np.zeros(x.size + horizon),
    )
    for n in range(x.size):
        then, now = past[n : n + taps][::-1], past[n + horizon : n + horizon + taps][::-1]
        w = w + mu * (x[n] - w @ then) / (eps + then @ then) * then
        prediction[n + horizon] = w @ now
    return prediction


@pytest.mark.parametrize(("horizon", "lengths"), [(1, [50]), (7, [1, 90, 3]), (64, [300]), (200, [33])])
def test_predictions_equal_the_definition_for_any_block_lengths(horizon, lengths):
    x = np.random.default_rng(0).standard_normal(900)
    f, at = Predictor(24, horizon, dtype=np.float64), 0
    while at < x.size:
        length = lengths[at % len(lengths)]
        f.process(x[at : at + length])
        at += length
    assert np.allclose(f._pending, predictions_by_definition(x, 24, horizon, 0.1)[-horizon:], atol=1e-12)


@pytest.mark.parametrize("horizon", [1, 16, 80, 800])
def test_white_noise_is_neither_reduced_nor_made_worse(horizon):
    x = np.random.default_rng(1).standard_normal(4 * RATE)
    assert abs(attenuation(x, horizon)) < 0.2


@pytest.mark.parametrize("horizon", [1, 80, 800])
def test_a_tone_is_cancelled_over_any_horizon(horizon):
    assert attenuation(np.sin(2 * np.pi * 210 * np.arange(2 * RATE) / RATE), horizon) > 40


def test_anti_noise_depends_only_on_samples_before_the_horizon():
    x = np.random.default_rng(2).standard_normal(500).cumsum()
    other = np.concatenate([x[:300], -x[300:]])
    ours, theirs = (Predictor(16, 40, dtype=np.float64).process(signal)[0] for signal in (x, other))
    assert np.array_equal(ours[:340], theirs[:340])
    assert not np.array_equal(ours[340:], theirs[340:])
