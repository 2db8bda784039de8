"""Measurement of the secondary path on the user's head."""

import msgspec
import numpy as np
import pytest

from anc.schemas.path import parse_path
from simulation.acoustic_plant import AcousticPlant
from simulation.path_measurement import (
    MeasurementFailed,
    measure_secondary,
    music_stimulus,
    probe_stimulus,
    to_measured_path,
)
from simulation.scenes import Scene

RATE = 16_000


def error_db(path: np.ndarray, true: np.ndarray) -> float:
    """Return the relative error of a path between 80 Hz and 1 kHz, the band of control."""
    grid = np.fft.rfftfreq(4096, 1 / RATE)
    band = (grid > 80) & (grid < 1000)
    got, expected = (np.fft.rfft(each, 4096)[band] for each in (path, true))
    return float(10 * np.log10(np.sum(np.abs(got - expected) ** 2) / np.sum(np.abs(expected) ** 2)))


class Attenuated:
    """An attenuated noise."""

    def __init__(self, noise: Scene, by_db: float) -> None:
        self._noise = noise
        self._gain = np.float32(10 ** (-by_db / 20))

    def read(self, n: int) -> np.ndarray:
        return self._gain * self._noise.read(n)


@pytest.mark.parametrize("sound", [probe_stimulus, music_stimulus])
def test_a_probe_or_music_measures_the_path_to_a_tenth_and_better_than_enrolment(sound) -> None:
    plant = AcousticPlant(3)
    path = measure_secondary(plant, sound(RATE))
    measured = error_db(path.impulse_response, plant.true_secondary())
    assert measured < -20
    assert measured < error_db(plant.measured_secondary(), plant.true_secondary())


def test_moderate_noise_reduces_the_accuracy() -> None:
    plant = AcousticPlant(3)
    path = measure_secondary(plant, probe_stimulus(RATE), Attenuated(Scene.built_in("cabin", RATE), by_db=20))
    assert error_db(path.impulse_response, plant.true_secondary()) < -12
    message = parse_path(msgspec.json.encode(to_measured_path(path, RATE, "probe")))
    assert (message.rate, message.played, len(message.secondary)) == (RATE, "probe", 256)


def test_a_measurement_in_loud_noise_fails() -> None:
    with pytest.raises(MeasurementFailed, match="in a quieter place"):
        measure_secondary(AcousticPlant(3), probe_stimulus(RATE), Scene.built_in("cabin", RATE))
