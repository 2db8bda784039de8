"""The maximum gain of the control filter, as in decision 9, on the plants and scenes that it names."""

import numpy as np
import pytest

from anc.dsp import attenuation_db, design_control_filter, level_dbfs
from anc.dsp.design import MAX_GAIN_DB
from simulation.acoustic_plant import AcousticPlant
from simulation.scenes import SCENES, Scene

RATE = 16_000


def attenuation(seed: int, scene: str, max_gain_db: float) -> tuple[float, float]:
    """Return the attenuation from second 2 on, with a filter of the first second, and the driver's level."""
    plant = AcousticPlant(seed)
    noise = Scene.built_in(scene, RATE).read(6 * RATE)
    x, d = plant.reference(noise), plant.ear(noise, np.zeros_like(noise)).d
    first = slice(RATE)
    w = design_control_filter(
        x[first], d[first], plant.measured_secondary(), rate=RATE, max_gain_db=max_gain_db
    ).taps
    y = np.convolve(x, w)[: x.size]
    residual = d - np.convolve(y, plant.true_secondary())[: d.size]
    return attenuation_db(d[2 * RATE :], residual[2 * RATE :]), level_dbfs(y)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("seed", [0, 1])
def test_boost_compensates_the_driver_roll_off_and_raises_its_level_by_at_most_3_db(
    seed: int, scene: str
) -> None:
    limited, quiet = attenuation(seed, scene, 20.0)
    allowed, loud = attenuation(seed, scene, MAX_GAIN_DB)
    more, _ = attenuation(seed, scene, MAX_GAIN_DB + 10)
    assert allowed > limited + 5.0
    assert more == pytest.approx(allowed, abs=0.1)
    assert loud < quiet + 3.0
