"""Local adaptation improves the cloud's filter, stays near it, and learns from noise alone."""

import numpy as np
import pytest

from iot.controller import ActiveFilter, Controller
from iot.fir import Fir
from iot.local_adaptation import MAX_DISTANCE, LocalAdaptation

RATE, BLOCK, TAPS = 16_000, 256, 64
SECONDARY = np.array([0.0, 0.8, 0.3, -0.1], np.float32)


def best_filter() -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.standard_normal(TAPS) * np.exp(-np.arange(TAPS) / 10)).astype(np.float32)


class Ear:
    """A controller with adaptation at an ear whose best filter is `best_filter()`."""

    def __init__(self, error: float = 0.2, model: np.ndarray = SECONDARY) -> None:
        rng = np.random.default_rng(2)
        best = best_filter()
        deviation = rng.standard_normal(TAPS) * np.exp(-np.arange(TAPS) / 10)
        self.base = (best + error * np.linalg.norm(best) * deviation / np.linalg.norm(deviation)).astype(
            np.float32
        )
        self.controller = Controller(RATE, TAPS, LocalAdaptation(model, RATE))
        self.controller.play(ActiveFilter("a", self.base, 1.0), at=0.0)
        self._primary, self._secondary = Fir(np.convolve(best, SECONDARY)), Fir(SECONDARY)
        self._rng = rng

    def run(self, seconds: float, level: float = 0.1, speech: float = 0.0, clip: float = 10.0) -> float:
        """Return the residual's power over the noise's, in dB, in the last quarter."""
        blocks = int(seconds * RATE / BLOCK)
        energy = np.zeros((blocks, 2))
        for k in range(blocks):
            x = (level * self._rng.standard_normal(BLOCK)).astype(np.float32)
            y = self.controller.process(x, at=1.0)
            d = self._primary.process(x)
            e = d - self._secondary.process(y)
            measured = np.clip(e + speech * self._rng.standard_normal(BLOCK), -clip, clip).astype(np.float32)
            self.controller.adapt(x, measured, y)
            energy[k] = np.vdot(e, e), np.vdot(d, d)
        after, before = energy[3 * blocks // 4 :].sum(0)
        return float(10 * np.log10(after / before))

    @property
    def moved(self) -> float:
        return float(np.linalg.norm(self.controller.weights - self.base) / np.linalg.norm(self.base))


def test_the_residual_falls_below_that_of_the_cloud_s_filter():
    assert Ear().run(4.0) < Ear().run(0.2) - 6


def test_a_filter_that_is_replaced_starts_from_the_cloud_s_weights():
    ear = Ear()
    ear.run(2.0)
    assert ear.moved > 0
    ear.controller.play(ActiveFilter("b", best_filter(), 1.0), at=2.0)
    ear.controller.process(np.zeros(BLOCK, np.float32), at=3.0)
    assert np.array_equal(ear.controller.weights, best_filter())


@pytest.mark.parametrize("condition", [{"level": 1e-5}, {"level": 3.0}], ids=["quiet", "clipped"])
def test_nothing_is_learned_from_quiet_or_clipped_sound(condition):
    ear = Ear()
    ear.run(1.0, **condition)
    assert ear.moved == 0


def test_nothing_is_learned_while_somebody_begins_to_speak_into_the_microphone():
    ear = Ear()
    ear.run(2.0)
    before = ear.controller.weights.copy()
    ear.run(0.05, speech=3.0)
    assert np.array_equal(ear.controller.weights, before)


def test_the_weights_stay_near_the_cloud_s_filter():
    ear = Ear(error=2.0)
    ear.run(4.0)
    assert ear.moved <= MAX_DISTANCE + 1e-3


def test_with_a_model_of_the_wrong_sign_the_filter_returns_to_the_cloud_s():
    wrong, fixed = Ear(error=0.3, model=-SECONDARY), Ear(error=0.3)
    assert wrong.run(4.0) < fixed.run(0.2) + 3


def test_without_adaptation_a_filter_stays_as_it_came():
    controller = Controller(RATE, TAPS)
    controller.play(ActiveFilter("a", best_filter(), 1.0), at=0.0)
    x = np.random.default_rng(0).standard_normal(BLOCK).astype(np.float32)
    y = controller.process(x, at=1.0)
    controller.adapt(x, x, y)
    assert np.array_equal(controller.weights, best_filter())
