"""Log odds of an emergency from the noise classifier."""

import numpy as np
import pytest

from anc.noise.network import MAX_LOG_ODDS, _convolve, emergency_log_odds

SIREN, RAIN, DOG = np.eye(3) * 2.0
WITNESSES = np.array([0])


def test_the_log_odds_of_an_emergency_follow_the_noise_probabilities() -> None:
    siren, undecided, rain = emergency_log_odds(
        np.array([SIREN, np.log([0.5, 0.25, 0.25]), RAIN]), WITNESSES
    )[:, 0]
    assert siren == pytest.approx(np.log(np.exp(2) / 2))
    assert undecided == pytest.approx(0)
    assert rain < -1


@pytest.mark.parametrize("sure", [50.0, 1e4])
def test_the_log_odds_of_an_emergency_are_limited(sure: float) -> None:
    assert emergency_log_odds(sure * np.array([DOG]), WITNESSES) == -MAX_LOG_ODDS
    assert emergency_log_odds(sure * np.array([SIREN]), WITNESSES) == MAX_LOG_ODDS


def test_a_convolution_equals_the_sum_over_its_nine_cells() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 7, 5, 3)).astype(np.float32)
    weight = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = [
        [[np.tensordot(one[i : i + 3, j : j + 3], weight, 3) for j in range(5)] for i in range(7)]
        for one in padded
    ]
    assert _convolve(x, weight.reshape(3, 9, 4)) == pytest.approx(np.array(expected), abs=1e-4)
