"""The secondary path as a headset measures it on its listener's head."""

import msgspec
import numpy as np
import pytest

from anc.schemas.path import parse_path
from simulation.acoustic_plant import AcousticPlant
from simulation.path_measurement import CannotMeasure, measure_secondary, outcome, probe, tune
from simulation.scenes import Scene

RATE = 16_000


def error_db(path: np.ndarray, true: np.ndarray) -> float:
    """Return how far a path is off between 80 Hz and 1 kHz, where there is control."""
    grid = np.fft.rfftfreq(4096, 1 / RATE)
    band = (grid > 80) & (grid < 1000)
    got, is_so = (np.fft.rfft(each, 4096)[band] for each in (path, true))
    return float(10 * np.log10(np.sum(np.abs(got - is_so) ** 2) / np.sum(np.abs(is_so) ** 2)))


class Further:
    """A noise heard through a wall."""

    def __init__(self, noise: Scene, by_db: float) -> None:
        self._noise = noise
        self._gain = np.float32(10 ** (-by_db / 20))

    def read(self, n: int) -> np.ndarray:
        return self._gain * self._noise.read(n)


@pytest.mark.parametrize("sound", [probe, tune])
def test_a_probe_or_music_tells_the_path_to_a_tenth_and_better_than_another_fit_does(sound) -> None:
    head = AcousticPlant(3)
    path = measure_secondary(head, sound(RATE))
    measured = error_db(path.impulse_response, head.true_secondary())
    assert measured < -20
    assert measured < error_db(head.measured_secondary(), head.true_secondary())


def test_some_noise_around_costs_accuracy_but_not_the_path() -> None:
    head = AcousticPlant(3)
    path = measure_secondary(head, probe(RATE), Further(Scene.built_in("cabin", RATE), by_db=20))
    assert error_db(path.impulse_response, head.true_secondary()) < -12
    told = parse_path(msgspec.json.encode(outcome(path, RATE, "probe")))
    assert (told.rate, told.played, len(told.secondary)) == (RATE, "probe", 256)


def test_what_drowns_in_noise_is_not_passed_off_as_a_path() -> None:
    with pytest.raises(CannotMeasure, match="in a quieter place"):
        measure_secondary(AcousticPlant(3), probe(RATE), Scene.built_in("cabin", RATE))
