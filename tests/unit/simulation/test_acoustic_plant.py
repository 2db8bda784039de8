"""The simulated acoustic plant: delays, paths, fit, feedback."""

import numpy as np
import pytest

from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.oracle import best_fixed_filter_db
from simulation.scenes import Scene

RATE = 16_000
NOISELESS = PlantParameters(microphone_dbfs=-300.0)


def impulse(n: int = 2000) -> np.ndarray:
    samples = np.zeros(n, np.float32)
    samples[0] = 1.0
    return samples


@pytest.mark.parametrize("seed", range(5))
def test_sound_reaches_the_ear_after_the_reference_microphone_by_60_to_150_us(seed: int):
    parameters = PlantParameters.random(np.random.default_rng(seed))
    assert 55e-6 < parameters.reference_to_ear_m / 343 < 150e-6
    d = AcousticPlant(seed).ear(impulse(), np.zeros(2000, np.float32)).d
    assert abs(d[0]) < 0.05 * np.abs(d).max()


@pytest.mark.parametrize("seed", range(5))
def test_the_secondary_path_delays_by_at_least_one_sample(seed: int):
    s = AcousticPlant(seed).true_secondary()
    assert s[0] == 0.0


def test_the_driver_does_not_change_the_noise_without_control():
    noise = Scene.built_in("cabin", RATE).read(4000)
    y = 0.5 * np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    silent, driven = AcousticPlant(3), AcousticPlant(3)
    np.testing.assert_array_equal(silent.reference(noise), driven.reference(noise))
    quiet, played = silent.ear(noise, np.zeros_like(y)), driven.ear(noise, y)
    np.testing.assert_array_equal(quiet.d, played.d)
    assert np.abs(quiet.residual - played.residual).max() > 0.01


def test_the_driver_clips_at_full_scale():
    plant = AcousticPlant(0, parameters=NOISELESS)
    once = plant.ear(np.zeros(2000, np.float32), impulse()).residual
    again = AcousticPlant(0, parameters=NOISELESS).ear(np.zeros(2000, np.float32), 1000 * impulse()).residual
    np.testing.assert_allclose(once, again, atol=1e-6)


def test_the_block_length_does_not_change_the_output():
    noise = Scene.built_in("engine", RATE).read(3000)
    whole, parts = AcousticPlant(0, parameters=NOISELESS), AcousticPlant(0, parameters=NOISELESS)
    parts_d = [parts.ear(part, np.zeros_like(part)).d for part in np.split(noise, [1, 400, 2000])]
    np.testing.assert_allclose(np.concatenate(parts_d), whole.ear(noise, np.zeros_like(noise)).d, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_measured_secondary_path_is_close_to_the_true_one(seed: int):
    plant = AcousticPlant(seed)
    measured, true = np.fft.rfft(plant.measured_secondary(), RATE), np.fft.rfft(plant.true_secondary(), RATE)
    error = np.abs(measured - true)[80:1000] / np.abs(true)[80:1000]
    assert 0.02 < np.median(error) < 0.25


def test_a_leak_attenuates_the_driver_at_low_frequencies_and_admits_noise():
    tight, loose = (
        AcousticPlant(0, parameters=PlantParameters(leak=0.0)),
        AcousticPlant(0, parameters=PlantParameters(leak=1.0)),
    )
    level = {plant: np.abs(np.fft.rfft(plant.true_secondary(), RATE))[100] for plant in (tight, loose)}
    assert level[loose] < 0.8 * level[tight]
    noise = Scene.built_in("street", RATE).read(RATE)
    still = np.zeros_like(noise)
    assert np.std(loose.ear(noise, still).d) > np.std(tight.ear(noise, still).d)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_paths_that_are_astray_differ_by_their_share_each_in_its_own_way(share: float):
    plain, strayed = AcousticPlant(2), AcousticPlant(2, path_mismatch=share)
    differ = {}
    for name, path in (
        ("secondary", AcousticPlant.true_secondary),
        ("primary", lambda plant: plant.ear(impulse(), np.zeros(2000, np.float32)).d),
    ):
        was, now = np.fft.rfft(path(plain), RATE), np.fft.rfft(path(strayed), RATE)
        differ[name] = (now[50:5000] - was[50:5000]) / was[50:5000]
        assert np.sqrt(np.mean(np.abs(differ[name]) ** 2)) == pytest.approx(share, rel=0.35)
    assert np.abs(differ["primary"] - differ["secondary"]).mean() > share / 3


def test_a_head_is_the_same_head_at_another_rate():
    slow, fast = (
        AcousticPlant(2, rate=16_000).true_secondary(),
        AcousticPlant(2, rate=48_000).true_secondary(),
    )
    at_16, at_48 = np.fft.rfft(slow, 16_000), np.fft.rfft(fast, 48_000)
    error = np.abs(at_48[100:4000] - at_16[100:4000]) / np.abs(at_48[100:4000])
    assert error.max() < 0.05  # in level and in phase, which is delay


def test_feedback_reaches_the_reference_microphone_after_its_way_around_the_cup():
    plant = AcousticPlant(0, parameters=PlantParameters(feedback_db=-20.0, microphone_dbfs=-300.0))
    step = plant.feedback_samples
    still = np.zeros(step, np.float32)
    first = plant.reference(still)
    plant.ear(still, np.ones(step, np.float32))
    second = plant.reference(still)
    assert not np.abs(first).max() > 1e-6
    assert np.abs(second).max() > 1e-6


@pytest.mark.parametrize("scene", ["cabin", "engine", "street"])
def test_no_fixed_filter_can_take_everything_away(scene: str):
    plant, noise = AcousticPlant(0), Scene.built_in(scene, RATE).read(6 * RATE)
    x = plant.reference(noise)
    d = plant.ear(noise, np.zeros_like(noise)).d
    assert 4 < best_fixed_filter_db(x, d, plant.true_secondary(), slice(RATE, None)) < 30
