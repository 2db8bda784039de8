"""How far the control filter may boost: what decision 9 says, on the heads and scenes that it names."""

import numpy as np
import pytest

from anc.dsp import attenuation_db, design_control_filter, level_dbfs
from anc.dsp.design import MAX_GAIN_DB
from simulation.acoustic_plant import AcousticPlant
from simulation.scenes import SCENES, Scene

RATE = 16_000


def taken_off(head_seed: int, scene: str, max_gain_db: float) -> tuple[float, float]:
    """Attenuation of the seconds after the first two, by the filter of the first; and the driver's level."""
    head = AcousticPlant(head_seed)
    noise = Scene.built_in(scene, RATE).read(6 * RATE)
    x, d = head.reference(noise), head.ear(noise, np.zeros_like(noise)).d
    first = slice(RATE)
    w = design_control_filter(
        x[first], d[first], head.measured_secondary(), rate=RATE, max_gain_db=max_gain_db
    ).taps
    y = np.convolve(x, w)[: x.size]
    left = d - np.convolve(y, head.true_secondary())[: d.size]
    return attenuation_db(d[2 * RATE :], left[2 * RATE :]), level_dbfs(y)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("head_seed", [0, 1])
def test_a_driver_that_rolls_off_needs_boost_and_hardly_plays_louder(head_seed: int, scene: str) -> None:
    held, quiet = taken_off(head_seed, scene, 20.0)
    allowed, loud = taken_off(head_seed, scene, MAX_GAIN_DB)
    more, _ = taken_off(head_seed, scene, MAX_GAIN_DB + 10)
    assert allowed > held + 6.5
    assert more == pytest.approx(allowed, abs=0.1)
    assert loud < quiet + 1.2
