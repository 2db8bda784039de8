"""Evaluation of the active filter at the error microphone."""

from collections.abc import Iterator

import numpy as np
import pytest

from iot.controller import NO_FILTER, ActiveFilter, Block
from iot.filter_monitor import Evaluation, FilterMonitor

RATE = 16_000
SECONDARY = np.array([0.0, 0.0, 0.8, 0.3], np.float32)
PRIMARY = np.array([0.0, 0.0, 0.0, 0.7, 0.2], np.float32)
GOOD = np.array([0.0, 0.85, -0.1], np.float32)  # leaves about a tenth of the noise
BLOCK = 256


class SimulatedEar:
    """Signals at an ear, e = d - s * y, with the active filter."""

    def __init__(self) -> None:
        self.primary = PRIMARY
        self._rng = np.random.default_rng(0)
        self._x = np.zeros(64, np.float32)
        self._y = np.zeros(64, np.float32)

    def blocks(self, active: ActiveFilter, seconds: float) -> Iterator[Block]:
        """Yield blocks with the active filter; the first four are its cross-fade."""
        for i in range(int(seconds * RATE / BLOCK)):
            x = 0.1 * self._rng.standard_normal(BLOCK).astype(np.float32)
            self._x = np.concatenate([self._x, x])[-(64 + BLOCK) :]
            y = active.gain * np.convolve(self._x, active.w)[self._x.size - BLOCK : self._x.size]
            self._y = np.concatenate([self._y, y])[-(64 + BLOCK) :]
            d = np.convolve(self._x, self.primary)[self._x.size - BLOCK : self._x.size]
            anti_noise = np.convolve(self._y, SECONDARY)[self._y.size - BLOCK : self._y.size]
            yield Block(x, d - anti_noise, y, active, steady=i >= 4)


def evaluations(monitor: FilterMonitor, blocks: Iterator[Block]) -> list[Evaluation]:
    return [evaluation for block in blocks if (evaluation := monitor.process(block))]


@pytest.fixture
def monitor() -> FilterMonitor:
    return FilterMonitor(SECONDARY, RATE)


def test_an_effective_filter_is_kept_and_its_attenuation_is_measured(monitor: FilterMonitor):
    ear = SimulatedEar()
    evaluations(monitor, ear.blocks(NO_FILTER, 1.0))
    results = evaluations(monitor, ear.blocks(ActiveFilter("good", GOOD, 1.0), 2.0))
    assert len(results) >= 6
    assert all(evaluation.replacement is None for evaluation in results)
    assert all(evaluation.attenuation_db > 8 for evaluation in results)


def test_a_harmful_filter_is_detected_in_its_first_quarter_second(monitor: FilterMonitor):
    ear = SimulatedEar()
    evaluations(monitor, ear.blocks(NO_FILTER, 1.0))
    results = evaluations(monitor, ear.blocks(ActiveFilter("inverted", -GOOD, 1.0), 0.4))
    assert results[0].replacement is NO_FILTER


def test_a_filter_worse_than_the_previous_one_is_replaced_by_it(monitor: FilterMonitor):
    ear, good = SimulatedEar(), ActiveFilter("good", GOOD, 1.0)
    evaluations(monitor, ear.blocks(NO_FILTER, 1.0))
    evaluations(monitor, ear.blocks(good, 1.0))
    results = evaluations(monitor, ear.blocks(ActiveFilter("weak", 0.5 * GOOD, 1.0), 0.4))
    assert results[0].attenuation_db > 3
    assert results[0].replacement is good


def test_a_filter_that_becomes_harmful_is_turned_off(monitor: FilterMonitor):
    ear, good = SimulatedEar(), ActiveFilter("good", GOOD, 1.0)
    evaluations(monitor, ear.blocks(good, 1.0))
    ear.primary = -PRIMARY  # another direction inverts the effect of the filter
    results = evaluations(monitor, ear.blocks(good, 1.0))
    assert results[-1].replacement is NO_FILTER


def test_a_model_with_the_wrong_sign_is_detected_by_the_level_alone():
    monitor, ear = FilterMonitor(-SECONDARY, RATE), SimulatedEar()
    evaluations(monitor, ear.blocks(NO_FILTER, 1.0))
    results = evaluations(monitor, ear.blocks(ActiveFilter("designed on it", -GOOD, 1.0), 0.4))
    assert results[0].attenuation_db > 1  # as estimated with the wrong model
    assert results[0].replacement is NO_FILTER


def test_a_lower_intensity_is_not_reverted(monitor: FilterMonitor):
    ear = SimulatedEar()
    evaluations(monitor, ear.blocks(ActiveFilter("good", GOOD, 1.0), 1.0))
    results = evaluations(monitor, ear.blocks(ActiveFilter("good", GOOD, 0.3), 1.0))
    assert all(evaluation.replacement is None for evaluation in results)


def test_no_evaluation_is_made_during_a_cross_fade(monitor: FilterMonitor):
    fading = (
        block._replace(steady=False) for block in SimulatedEar().blocks(ActiveFilter("good", GOOD, 1.0), 2.0)
    )
    assert evaluations(monitor, fading) == []


def test_a_clearly_louder_residual_is_reported_within_100_ms(monitor: FilterMonitor):
    ear = SimulatedEar()
    evaluations(monitor, ear.blocks(NO_FILTER, 1.0))
    active = ActiveFilter("good", GOOD, 1.0)
    evaluations(monitor, ear.blocks(active, 1.1))
    ear.primary = -PRIMARY
    blocks = list(ear.blocks(active, 0.5))
    steady = [block for block in blocks if block.steady]
    results = [monitor.process(block) for block in blocks[:4]] + [monitor.process(block) for block in steady]
    first = next(k for k, evaluation in enumerate(results) if evaluation and evaluation.replacement)
    assert results[first].replacement is NO_FILTER
    assert (first - 3) * BLOCK / RATE <= 0.1


def test_a_slightly_louder_residual_is_reported_within_100_ms() -> None:
    monitor, rng = FilterMonitor(np.array([0.8], np.float32), RATE), np.random.default_rng(0)
    active = ActiveFilter("old", GOOD, 1.0)
    for k in range(int(0.1 * RATE / BLOCK)):
        d = (0.1 * rng.standard_normal(BLOCK)).astype(np.float32)
        e = np.float32(10 ** (1.5 / 20)) * d
        evaluation = monitor.process(Block(d, e, (d - e) / np.float32(0.8), active, steady=k > 0))
        if evaluation:
            break
    assert evaluation
    assert evaluation.replacement is NO_FILTER


def test_a_filter_that_amplifies_a_loud_band_is_turned_off() -> None:
    rng, n = np.random.default_rng(0), RATE
    hz = np.fft.rfftfreq(n, 1 / RATE)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    low, high = (np.fft.irfft(spectrum * band, n) for band in (hz < 1_000, 0.5 * (hz >= 2_000)))
    active = ActiveFilter("low pass", GOOD, 1.0)

    def blocks(left_of_high: float) -> Iterator[Block]:
        d, e = low + high, 0.1 * low + left_of_high * high
        y = (d - e) / 0.8  # through a secondary path of one tap
        for at in range(0, n - BLOCK, BLOCK):
            span = slice(at, at + BLOCK)
            yield Block(
                (low + high)[span].astype(np.float32),
                e[span].astype(np.float32),
                y[span].astype(np.float32),
                active,
                steady=True,
            )

    def replacements(left_of_high: float) -> list[ActiveFilter | None]:
        monitor = FilterMonitor(np.array([0.8], np.float32), RATE)
        return [one.replacement for one in evaluations(monitor, blocks(left_of_high))]

    assert all(replacement is None for replacement in replacements(1.0))
    assert all(replacement is NO_FILTER for replacement in replacements(2.0))
