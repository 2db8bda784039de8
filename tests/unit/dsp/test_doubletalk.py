"""Double-talk control removes noise and leaves speech."""

import numpy as np

from anc.dsp import NLMS, DoubleTalkNLMS, attenuation_db


def scene(changed_at=None):
    """Return reference, noise at the ear, and speech of the same level in every other half second.

    Uncorrelated noise 20 dB below is always present.
    """
    rng = np.random.default_rng(0)
    n = 64_000
    noise = rng.standard_normal(n)
    first, second = (rng.standard_normal(40) * 0.9 ** np.arange(40) for _ in range(2))
    at_ear = np.convolve(noise, first)[:n]
    if changed_at is not None:
        at_ear[changed_at:] = np.convolve(noise, second)[changed_at:n]
    talking = np.arange(n) // 8000 % 2
    speech = talking * at_ear.std() * np.convolve(rng.standard_normal(n), 0.8 ** np.arange(20) * 0.6)[:n]
    speech += 0.1 * at_ear.std() * rng.standard_normal(n)
    return noise, at_ear, speech


def left_of_noise(f, noise, at_ear, speech, part):
    e = f.process(noise, at_ear + speech)[1]
    return attenuation_db(at_ear[part], (e - speech)[part])


def test_double_talk_control_removes_8_db_more_noise_during_speech():
    talking = slice(40_000, 48_000)
    plain = left_of_noise(NLMS(64), *scene(), talking)
    controlled = left_of_noise(DoubleTalkNLMS(64), *scene(), talking)
    assert controlled > plain + 8


def test_double_talk_control_tracks_a_path_change_almost_as_fast_as_nlms():
    after = slice(49_000, 51_000)
    sound = scene(changed_at=48_000)
    assert left_of_noise(DoubleTalkNLMS(64), *sound, after) > left_of_noise(NLMS(64), *sound, after) - 3
    assert left_of_noise(DoubleTalkNLMS(64), *sound, after) > left_of_noise(NLMS(64, 0.02), *sound, after) + 3


def test_the_residual_does_not_depend_on_block_lengths():
    noise, at_ear, speech = (part[:3000] for part in scene())
    whole, cut = DoubleTalkNLMS(64, dtype=np.float64), DoubleTalkNLMS(64, dtype=np.float64)
    expected = whole.process(noise, at_ear + speech)[1]
    parts = [slice(0, 1), slice(1, 1000), slice(1000, 1064), slice(1064, 3000)]
    got = np.concatenate([cut.process(noise[p], (at_ear + speech)[p])[1] for p in parts])
    assert np.abs(got - expected).max() < 1e-11
