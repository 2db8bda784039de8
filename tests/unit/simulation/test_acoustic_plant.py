"""The simulated head: nothing in it is early, and nothing in it is easy."""

import numpy as np
import pytest

from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.oracle import best_fixed_filter_db
from simulation.scenes import Scene

RATE = 16_000
SILENT = PlantParameters(microphone_dbfs=-300.0)


def impulse(n: int = 2000) -> np.ndarray:
    samples = np.zeros(n, np.float32)
    samples[0] = 1.0
    return samples


@pytest.mark.parametrize("seed", range(5))
def test_sound_reaches_the_ear_after_the_reference_microphone_by_60_to_150_us(seed: int):
    parameters = PlantParameters.drawn(np.random.default_rng(seed))
    assert 55e-6 < parameters.reference_to_ear_m / 343 < 150e-6
    d = AcousticPlant(seed).ear(impulse(), np.zeros(2000, np.float32)).d
    assert abs(d[0]) < 0.05 * np.abs(d).max()


@pytest.mark.parametrize("seed", range(5))
def test_the_driver_is_not_heard_in_the_sample_in_which_it_moves(seed: int):
    s = AcousticPlant(seed).true_secondary()
    assert s[0] == 0.0


def test_what_the_driver_plays_never_changes_what_would_have_been_heard():
    noise = Scene.built_in("cabin", RATE).read(4000)
    y = 0.5 * np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    silent, driven = AcousticPlant(3), AcousticPlant(3)
    np.testing.assert_array_equal(silent.reference(noise), driven.reference(noise))
    quiet, played = silent.ear(noise, np.zeros_like(y)), driven.ear(noise, y)
    np.testing.assert_array_equal(quiet.d, played.d)
    assert np.abs(quiet.residual - played.residual).max() > 0.01


def test_the_driver_cannot_play_louder_than_full_scale():
    head = AcousticPlant(0, parameters=SILENT)
    once = head.ear(np.zeros(2000, np.float32), impulse()).residual
    again = AcousticPlant(0, parameters=SILENT).ear(np.zeros(2000, np.float32), 1000 * impulse()).residual
    np.testing.assert_allclose(once, again, atol=1e-6)


def test_the_block_length_changes_nothing():
    noise = Scene.built_in("engine", RATE).read(3000)
    whole, parts = AcousticPlant(0, parameters=SILENT), AcousticPlant(0, parameters=SILENT)
    heard = [parts.ear(part, np.zeros_like(part)).d for part in np.split(noise, [1, 400, 2000])]
    np.testing.assert_allclose(np.concatenate(heard), whole.ear(noise, np.zeros_like(noise)).d, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_measured_secondary_path_is_near_the_true_one_and_not_equal(seed: int):
    head = AcousticPlant(seed)
    measured, true = np.fft.rfft(head.measured_secondary(), RATE), np.fft.rfft(head.true_secondary(), RATE)
    error = np.abs(measured - true)[80:1000] / np.abs(true)[80:1000]
    assert 0.02 < np.median(error) < 0.25


def test_a_loose_fit_takes_the_low_frequencies_of_the_driver_and_lets_noise_in():
    tight, loose = (
        AcousticPlant(0, parameters=PlantParameters(leak=0.0)),
        AcousticPlant(0, parameters=PlantParameters(leak=1.0)),
    )
    level = {head: np.abs(np.fft.rfft(head.true_secondary(), RATE))[100] for head in (tight, loose)}
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
        ("primary", lambda head: head.ear(impulse(), np.zeros(2000, np.float32)).d),
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
    head = AcousticPlant(0, parameters=PlantParameters(feedback_db=-20.0, microphone_dbfs=-300.0))
    step = head.feedback_samples
    still = np.zeros(step, np.float32)
    first = head.reference(still)
    head.ear(still, np.ones(step, np.float32))
    second = head.reference(still)
    assert not np.abs(first).max() > 1e-6
    assert np.abs(second).max() > 1e-6


@pytest.mark.parametrize("scene", ["cabin", "engine", "street"])
def test_no_fixed_filter_can_take_everything_away(scene: str):
    head, noise = AcousticPlant(0), Scene.built_in(scene, RATE).read(6 * RATE)
    x = head.reference(noise)
    d = head.ear(noise, np.zeros_like(noise)).d
    assert 4 < best_fixed_filter_db(x, d, head.true_secondary(), slice(RATE, None)) < 30
