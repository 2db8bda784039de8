"""Designs of the headset improve on the cloud's filter, from noise alone."""

import numpy as np
import pytest

from anc.dsp import BandLimit, Statistics, design_from_statistics
from iot.controller import ActiveFilter, Controller
from iot.fir import Fir
from iot.local_adaptation import MAX_RISE_COUNT, LocalAdaptation
from iot.local_design import EARLIER_S, INTERVAL_S, LATEST_S, MAX_LOSS_DB, LocalDesign

RATE, BLOCK, TAPS = 16_000, 256, 64
SECONDARY = np.array([0.0, 0.8, 0.3, -0.1], np.float32)
MEASURED = np.array([0.0, 0.7, 0.4, -0.2], np.float32)
ALWAYS = 10**9  # an old noise


def best_filter() -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.standard_normal(TAPS) * np.exp(-np.arange(TAPS) / 10)).astype(np.float32)


class Ear:
    """Noise at an ear whose best filter is `best_filter()`; the headset designs filters if it `refines`."""

    def __init__(self, start: np.ndarray, refines: bool = True) -> None:
        self.design = LocalDesign(MEASURED, RATE)
        self.w = start
        self._refines = refines
        self._primary, self._secondary = Fir(np.convolve(best_filter(), SECONDARY)), Fir(SECONDARY)
        self._filter, self._model = Fir(start), Fir(MEASURED)
        self._rng = np.random.default_rng(2)

    def run(self, seconds: float, level: float = 0.1, age: int = ALWAYS) -> float:
        """Return the attenuation in dB in the last quarter second."""
        energy = []
        for _ in range(int(seconds * RATE / BLOCK)):
            x = (level * self._rng.standard_normal(BLOCK)).astype(np.float32)
            y, d = self._filter.process(x), self._primary.process(x)
            e = d - self._secondary.process(y)
            self.design.process(x, e, e + self._model.process(y))
            energy.append((np.vdot(d, d), np.vdot(e, e)))
            found = self.design.design(self.w, age) if self._refines else None
            if found is not None:
                self.w, self._filter = found, Fir(found)
        d, e = np.sum(energy[-int(0.25 * RATE / BLOCK) :], axis=0)
        return float(10 * np.log10(d / e))


def test_designs_that_follow_each_other_overcome_the_error_of_the_measured_path():
    ear = Ear(0.8 * best_filter())
    first = ear.run(1.5 * INTERVAL_S)
    assert ear.run(8 * INTERVAL_S) > first + 6


@pytest.mark.parametrize(
    "condition", [{"level": 1e-5}, {"level": 3.0}, {"age": 100}], ids=["quiet", "clipped", "new noise"]
)
def test_nothing_is_designed_from_quiet_clipped_or_too_little_sound(condition):
    ear = Ear(0.8 * best_filter())
    ear.run(2.0, **condition)
    assert np.array_equal(ear.w, 0.8 * best_filter())


def test_a_change_that_went_unnoticed_does_not_spoil_the_design():
    ear = Ear(0.8 * best_filter(), refines=False)
    rng = np.random.default_rng(3)
    x = (0.1 * rng.standard_normal(int(EARLIER_S * RATE))).astype(np.float32)
    ear.design.process(x, x, -x)  # asks for another filter
    ear.run(LATEST_S)
    found = ear.design.design(ear.w, ALWAYS)
    assert np.linalg.norm(found - best_filter()) < 0.2 * np.linalg.norm(best_filter())


def test_the_earlier_sound_of_a_noise_improves_the_design():
    errors = []
    for age in (int(LATEST_S * RATE), ALWAYS):
        ear = Ear(0.8 * best_filter(), refines=False)
        rng = np.random.default_rng(3)
        x, other = (0.1 * rng.standard_normal((2, int((EARLIER_S + LATEST_S) * RATE)))).astype(np.float32)
        ear.design.process(x, x, Fir(np.convolve(best_filter(), MEASURED)).process(x) + other)
        errors.append(np.linalg.norm(ear.design.design(0 * ear.w, age) - best_filter()))
    assert errors[1] < 0.8 * errors[0]


def test_a_design_that_is_clearly_worse_than_the_filter_that_plays_is_dropped():
    design = LocalDesign(SECONDARY, RATE)
    rng = np.random.default_rng(3)
    x, other = (0.1 * rng.standard_normal((2, int(INTERVAL_S * RATE)))).astype(np.float32)
    d = Fir(np.convolve(best_filter(), SECONDARY)).process(x) + 2 * other
    design.process(x, d, d)
    long = np.pad(best_filter(), (0, 1024 - TAPS))  # as many weights as a quarter of the samples
    assert design.design(long, ALWAYS) is None


def test_of_two_filters_the_one_that_leaves_less_is_played():
    ear = Ear(best_filter(), refines=False)
    good, worse, bad = best_filter(), 0.9 * best_filter(), -best_filter()
    assert ear.design.better(worse, good, ALWAYS) is worse  # nothing is known yet
    ear.run(1.0)
    assert ear.design.better(good, worse, ALWAYS) is good
    assert ear.design.better(good[:8], worse, ALWAYS) is not worse
    assert ear.design.better(bad, good, ALWAYS) is bad  # is judged while it plays


def rumble(treble: float) -> np.ndarray:
    """Return a second of low-frequency noise, with white noise of this level."""
    low, white = np.random.default_rng(4).standard_normal((2, int(LATEST_S * RATE))).astype(np.float32)
    return 0.1 * Fir(np.hanning(40) / 20).process(low) + np.float32(treble) * white


def test_a_filter_that_amplifies_weak_bands_does_not_replace_one_that_does_not():
    x, design = rumble(2e-4), LocalDesign(SECONDARY, RATE)
    design.process(x, x, Fir(np.convolve(best_filter(), SECONDARY)).process(x))
    amplifying = best_filter() + np.pad(4 * np.array([1, -4, 6, -4, 1], np.float32) / 16, (0, TAPS - 5))
    assert design.better(amplifying, 0.985 * best_filter(), ALWAYS) is not amplifying
    assert design.better(0.985 * best_filter(), amplifying, ALWAYS) is not amplifying


def test_a_design_replaces_a_filter_that_amplifies_weak_bands():
    x = rumble(3e-3)
    d = np.roll(x, -1)  # reaches the ear first, so the best filter amplifies
    design = LocalDesign(SECONDARY, RATE)
    design.process(x, d, d)
    sound, limit = (kind.measure(x, d, SECONDARY, rate=RATE) for kind in (Statistics, BandLimit))
    amplifying = design_from_statistics([sound]).taps
    found = design.design(amplifying, ALWAYS)
    assert found is not None
    assert limit.excess_db(amplifying) > 2
    assert limit.excess_db(found) == 0
    assert sound.attenuation_db(found) < sound.attenuation_db(amplifying) - MAX_LOSS_DB


def playing(start: np.ndarray) -> Controller:
    controller = Controller(RATE, TAPS, LocalAdaptation(SECONDARY, RATE))
    controller.play(ActiveFilter("a", start, 1.0), at=0.0)
    play(controller, 0.2, at=0.0)
    return controller


def play(controller: Controller, seconds: float, at: float) -> None:
    """Play a sound too faint to adapt to."""
    x = np.full(BLOCK, 1e-6, np.float32)
    for _ in range(int(seconds * RATE / BLOCK)):
        controller.adapt(x, x, controller.process(x, at))


def test_the_controller_moves_to_a_design_when_it_is_due():
    controller = playing(0.8 * best_filter())
    controller.refine("a", best_filter(), at=1.0)
    play(controller, 0.2, at=0.5)
    assert np.array_equal(controller.weights, 0.8 * best_filter())
    play(controller, 0.02, at=1.5)
    moved = controller.weights.copy()
    assert not np.array_equal(moved, 0.8 * best_filter())
    assert not np.array_equal(moved, best_filter())
    play(controller, 0.2, at=1.5)
    assert np.allclose(controller.weights, best_filter(), atol=1e-6)


def test_a_design_for_another_filter_is_ignored():
    controller = playing(0.8 * best_filter())
    controller.refine("b", best_filter(), at=1.0)
    play(controller, 0.2, at=1.5)
    assert np.array_equal(controller.weights, 0.8 * best_filter())


def test_a_muted_filter_stays_muted():
    controller = playing(0.8 * best_filter())
    controller.refine("a", best_filter(), at=1.0)
    controller.play(ActiveFilter("", np.zeros(1, np.float32), 0.0), at=1.0)
    play(controller, 0.2, at=1.5)
    assert not controller.adapts
    assert not controller.process(np.ones(BLOCK, np.float32), 2.0).any()


def test_after_several_rises_of_the_residual_designs_are_ignored():
    rng = np.random.default_rng(4)
    adaptation = LocalAdaptation(SECONDARY, RATE)
    adaptation.start(best_filter(), 1.0)
    adaptation.refine(0.5 * best_filter())
    residual = 0.01
    for k in range(400):
        x, y = (0.1 * rng.standard_normal((2, BLOCK))).astype(np.float32)
        residual *= 1.02 if k % 16 else 1.0
        adaptation.process(x, (residual * rng.standard_normal(BLOCK)).astype(np.float32), y, steady=True)
        if adaptation._rise_count == MAX_RISE_COUNT:
            break
    assert np.array_equal(adaptation.w, best_filter())
    adaptation.refine(0.5 * best_filter())
    adaptation.process(x, x, y, steady=True)
    assert np.array_equal(adaptation.w, best_filter())


def test_the_step_around_a_design_is_smaller():
    changes = []
    for refines in (False, True):
        adaptation, rng = LocalAdaptation(SECONDARY, RATE), np.random.default_rng(5)
        adaptation.start(best_filter(), 1.0)
        if refines:
            adaptation.refine(best_filter())
        for _ in range(10):
            x = (0.1 * rng.standard_normal(BLOCK)).astype(np.float32)
            before = adaptation.w
            adaptation.process(x, 0.1 * x, np.zeros(BLOCK, np.float32), steady=True)
        changes.append(float(np.linalg.norm(adaptation.w - before)))
    assert 0.4 < changes[1] / changes[0] < 0.6
