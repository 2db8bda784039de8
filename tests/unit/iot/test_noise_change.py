"""Detection of changes of the noise."""

import numpy as np
import pytest

from iot.noise_change import NoiseChange
from simulation.scenes import Scene, shaped_noise

RATE = 16_000


def feed(change: NoiseChange, samples: np.ndarray) -> None:
    for part in np.split(samples.astype(np.float32), range(256, samples.size, 256)):
        change.process(part)


def noise(seconds: float, curve: list[tuple[float, float]], level: float = 0.05) -> np.ndarray:
    return level * shaped_noise(np.random.default_rng(0), int(seconds * RATE), RATE, curve)


LOW = [(50.0, 0.0), (300.0, 0.0), (2000.0, -40.0)]
HIGH = [(50.0, -40.0), (300.0, -20.0), (1000.0, 0.0), (4000.0, 0.0)]


def test_the_onset_of_noise_is_detected_within_a_quarter_of_a_second():
    change = NoiseChange(RATE)
    feed(change, np.zeros(RATE))
    assert change.since is None
    assert change.quiet
    feed(change, noise(0.3, LOW))
    assert change.since is not None
    assert 0 <= change.since - RATE <= RATE // 4
    assert not change.quiet


@pytest.mark.parametrize("scene", ["cabin", "engine"])
def test_a_steady_noise_does_not_change(scene: str):
    change, playing = NoiseChange(RATE), Scene.built_in(scene, RATE)
    feed(change, playing.read(2 * RATE))
    change.learn()
    feed(change, playing.read(20 * RATE))
    assert change.since is None


def test_another_spectrum_at_the_same_level_is_a_change():
    change = NoiseChange(RATE)
    feed(change, noise(2, LOW))
    change.learn()
    feed(change, noise(0.5, HIGH))
    assert change.since is not None


def test_the_same_spectrum_10_db_louder_is_a_change():
    change = NoiseChange(RATE)
    feed(change, noise(2, LOW))
    change.learn()
    feed(change, noise(0.5, LOW, level=0.16))
    assert change.since is not None
