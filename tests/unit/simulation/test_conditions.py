"""Named acoustic conditions."""

import numpy as np
import pytest

from simulation.acoustic_plant import AcousticPlant
from simulation.conditions import CONDITIONS
from simulation.sound_field import SoundFieldPlant

RATE = 16_000


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_sets_field_and_disturbances_and_keeps_the_head(name: str):
    condition = CONDITIONS[name]
    plant, easy = condition.plant(3, RATE), AcousticPlant(3, RATE)
    np.testing.assert_array_equal(plant.true_secondary(), easy.true_secondary())
    assert isinstance(plant, SoundFieldPlant) == (name != "one direction")
    assert bool(plant.feedback_samples) == (name in ("feedback", "everything"))
    disturbances = condition.disturbances(plant, 3)
    assert bool(disturbances.refits) == (name in ("cup put on again", "chewing", "everything"))
    assert [refit.at_s for refit in disturbances.refits] == sorted(r.at_s for r in disturbances.refits)
    signals = disturbances.read(RATE)
    assert bool(np.any(signals.wind_outside)) == (name in ("wind", "everything"))
    assert bool(np.any(signals.speech)) == (name in ("speech", "everything"))
    assert bool(np.any(signals.music)) == (name in ("music", "everything"))
