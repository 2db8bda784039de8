"""Sound from many directions: coherence, lead, motion and fit."""

import numpy as np
import pytest

from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.coherence import coherence_limit, diffuse_coherence
from simulation.oracle import best_fixed_filter_db
from simulation.scenes import Scene
from simulation.sound_field import DIFFUSE_FIELD, SoundField, SoundFieldPlant, evenly_spread

RATE = 16_000
NOISELESS = PlantParameters(microphone_dbfs=-300.0)
MOVING = SoundField(evenly_spread(4), period_s=2.0)


def white(seconds: float, seed: int = 0) -> Signal:
    samples = np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    return (0.1 * samples).astype(np.float32)


def signals(plant: AcousticPlant, noise: Signal) -> tuple[Signal, Signal]:
    return plant.reference(noise), plant.ear(noise, np.zeros_like(noise)).d


@pytest.mark.parametrize("distance_m", [0.02, 0.035, 0.05])
def test_the_coherence_is_that_of_a_diffuse_field(distance_m: float):
    parameters = PlantParameters(microphone_dbfs=-300.0, reference_to_ear_m=distance_m)
    even = SoundField(shadow_db=0.0, transmission_db=0.0)
    x, d = signals(SoundFieldPlant(1, RATE, parameters, field=even), white(20))
    estimate = coherence_limit(x, d, RATE, segment=512)
    for low, high in ((300, 600), (600, 1200), (1200, 2400), (2400, 4800)):
        band = (estimate.hz >= low) & (estimate.hz < high)
        formula = diffuse_coherence(estimate.hz[band], distance_m)
        assert estimate.coherence[band].mean() == pytest.approx(formula.mean(), abs=0.03)


def test_shadow_and_cup_change_the_coherence_only_slightly():
    x, d = signals(SoundFieldPlant(1, RATE, NOISELESS), white(20))
    estimate = coherence_limit(x, d, RATE, segment=512)
    formula = diffuse_coherence(estimate.hz, NOISELESS.reference_to_ear_m)
    assert np.abs(estimate.coherence - formula)[10:150].mean() < 0.05


def test_a_source_on_the_other_side_of_the_head_allows_less_attenuation():
    attenuation = {}
    noise = Scene.built_in("street", RATE).read(3 * RATE)
    for lead in (1.0, 0.0, -1.0):
        plant = SoundFieldPlant(1, RATE, NOISELESS, field=SoundField((lead,)))
        x, d = signals(plant, noise)
        attenuation[lead] = best_fixed_filter_db(x, d, plant.true_secondary(), slice(RATE, None))
    assert attenuation[1.0] > attenuation[0.0] + 1 > attenuation[-1.0] + 2


@pytest.mark.parametrize("scene", ["cabin", "engine", "street"])
def test_a_diffuse_field_allows_less_attenuation_than_one_direction(scene: str):
    noise = Scene.built_in(scene, RATE).read(6 * RATE)
    span = slice(RATE, None)
    decibels = []
    for plant in (SoundFieldPlant(1), AcousticPlant(1)):
        x, d = signals(plant, noise)
        decibels.append(best_fixed_filter_db(x, d, plant.true_secondary(), span))
    assert 4 < decibels[0] < decibels[1] - 2


@pytest.mark.parametrize("field", [DIFFUSE_FIELD, MOVING])
def test_the_same_seed_gives_the_same_signals(field: SoundField):
    noise = white(1)
    one, same, other = (signals(SoundFieldPlant(seed, field=field), noise) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("field", [DIFFUSE_FIELD, MOVING])
def test_the_block_length_does_not_change_the_output(field: SoundField):
    noise = white(0.5)
    whole = signals(SoundFieldPlant(0, RATE, NOISELESS, field=field), noise)
    plant = SoundFieldPlant(0, RATE, NOISELESS, field=field)
    parts = [signals(plant, part) for part in np.split(noise, [1, 4, 400, 3000])]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)


@pytest.mark.parametrize("block", [7, 256])
def test_a_refit_fades_to_the_paths_of_the_new_fit(block: int):
    loose = PlantParameters(microphone_dbfs=-300.0, leak=1.0)
    refitted, new = SoundFieldPlant(0, RATE, NOISELESS), SoundFieldPlant(0, RATE, loose)
    refitted.refit(loose, 0.01)
    d = {}
    for plant in (refitted, new):
        noise = white(0.3)
        parts = [noise[at : at + block] for at in range(0, noise.size, block)]
        d[plant] = np.concatenate([signals(plant, part)[1] for part in parts])
    np.testing.assert_allclose(d[refitted][1000:], d[new][1000:], atol=1e-6)
    assert not np.allclose(d[refitted][:100], d[new][:100], atol=1e-6)


def test_the_level_at_the_reference_microphone_is_that_of_the_noise():
    x, _ = signals(SoundFieldPlant(1, RATE, NOISELESS), white(5))
    assert np.std(x[RATE:]) == pytest.approx(0.1, rel=0.05)


def test_the_path_of_a_moving_source_changes():
    noise = white(4)
    still, moving = (
        signals(SoundFieldPlant(1, RATE, NOISELESS, field=SoundField((1.0,), period_s=period)), noise)
        for period in (None, 4.0)
    )

    def fitted_db(pair: tuple[Signal, Signal]) -> float:
        return best_fixed_filter_db(*pair, [0.0, 1.0], slice(RATE, None))

    assert fitted_db(moving) < fitted_db(still) - 3
