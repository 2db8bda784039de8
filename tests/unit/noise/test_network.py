"""What the networks say together."""

import numpy as np
import pytest

from anc.noise.network import MAX_LOG_ODDS, emergency_log_odds

SIREN, RAIN, DOG = np.eye(3) * 2.0
WITNESSES = np.array([0])


def test_the_network_that_names_noises_speaks_for_an_emergency_as_far_as_it_is_sure() -> None:
    siren, undecided, rain = emergency_log_odds(
        np.array([SIREN, np.log([0.5, 0.25, 0.25]), RAIN]), WITNESSES
    )[:, 0]
    assert siren == pytest.approx(np.log(np.exp(2) / 2))
    assert undecided == pytest.approx(0)
    assert rain < -1


@pytest.mark.parametrize("sure", [50.0, 1e4])
def test_it_never_silences_the_one_that_listens_for_emergencies(sure: float) -> None:
    assert emergency_log_odds(sure * np.array([DOG]), WITNESSES) == -MAX_LOG_ODDS
    assert emergency_log_odds(sure * np.array([SIREN]), WITNESSES) == MAX_LOG_ODDS
