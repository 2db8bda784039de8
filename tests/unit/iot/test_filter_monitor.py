"""What a headset makes of its error microphone."""

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


class Ear:
    """Sound at a real ear: e = d - s * y, with a filter that the headset plays."""

    def __init__(self) -> None:
        self.primary = PRIMARY
        self._rng = np.random.default_rng(0)
        self._x = np.zeros(64, np.float32)
        self._y = np.zeros(64, np.float32)

    def blocks(self, active: ActiveFilter, seconds: float) -> Iterator[Block]:
        """Yield blocks in which the voice plays; the first four are its fade."""
        for i in range(int(seconds * RATE / BLOCK)):
            x = 0.1 * self._rng.standard_normal(BLOCK).astype(np.float32)
            self._x = np.concatenate([self._x, x])[-(64 + BLOCK) :]
            y = active.gain * np.convolve(self._x, active.w)[self._x.size - BLOCK : self._x.size]
            self._y = np.concatenate([self._y, y])[-(64 + BLOCK) :]
            d = np.convolve(self._x, self.primary)[self._x.size - BLOCK : self._x.size]
            arrived = np.convolve(self._y, SECONDARY)[self._y.size - BLOCK : self._y.size]
            yield Block(x, d - arrived, y, active, steady=i >= 4)


def verdicts(monitor: FilterMonitor, blocks: Iterator[Block]) -> list[Evaluation]:
    return [evaluation for block in blocks if (evaluation := monitor.process(block))]


@pytest.fixture
def monitor() -> FilterMonitor:
    return FilterMonitor(SECONDARY, RATE)


def test_a_filter_that_helps_is_left_alone_and_its_attenuation_is_known(monitor: FilterMonitor):
    ear = Ear()
    verdicts(monitor, ear.blocks(NO_FILTER, 1.0))
    heard = verdicts(monitor, ear.blocks(ActiveFilter("good", GOOD, 1.0), 2.0))
    assert len(heard) >= 6
    assert all(evaluation.better is None for evaluation in heard)
    assert all(evaluation.attenuation_db > 8 for evaluation in heard)


def test_a_filter_that_makes_it_louder_is_found_out_in_its_first_quarter_second(monitor: FilterMonitor):
    ear = Ear()
    verdicts(monitor, ear.blocks(NO_FILTER, 1.0))
    heard = verdicts(monitor, ear.blocks(ActiveFilter("inverted", -GOOD, 1.0), 0.4))
    assert heard[0].better is NO_FILTER


def test_a_filter_worse_than_the_one_before_gives_way_to_it(monitor: FilterMonitor):
    ear, good = Ear(), ActiveFilter("good", GOOD, 1.0)
    verdicts(monitor, ear.blocks(NO_FILTER, 1.0))
    verdicts(monitor, ear.blocks(good, 1.0))
    heard = verdicts(monitor, ear.blocks(ActiveFilter("weak", 0.5 * GOOD, 1.0), 0.4))
    assert heard[0].attenuation_db > 3
    assert heard[0].better is good


def test_a_filter_that_stops_helping_is_given_up_for_silence(monitor: FilterMonitor):
    ear, good = Ear(), ActiveFilter("good", GOOD, 1.0)
    verdicts(monitor, ear.blocks(good, 1.0))
    ear.primary = -PRIMARY  # another noise, from elsewhere: what helped now hurts
    heard = verdicts(monitor, ear.blocks(good, 1.0))
    assert heard[-1].better is NO_FILTER


def test_a_model_of_the_wrong_sign_is_found_out_by_loudness_alone():
    monitor, ear = FilterMonitor(-SECONDARY, RATE), Ear()
    verdicts(monitor, ear.blocks(NO_FILTER, 1.0))
    heard = verdicts(monitor, ear.blocks(ActiveFilter("designed on it", -GOOD, 1.0), 0.4))
    assert heard[0].attenuation_db > 1  # as far as the model can tell, all is well
    assert heard[0].better is NO_FILTER


def test_a_listener_who_asks_for_less_is_not_overruled(monitor: FilterMonitor):
    ear = Ear()
    verdicts(monitor, ear.blocks(ActiveFilter("good", GOOD, 1.0), 1.0))
    heard = verdicts(monitor, ear.blocks(ActiveFilter("good", GOOD, 0.3), 1.0))
    assert all(evaluation.better is None for evaluation in heard)


def test_nothing_is_judged_while_a_filter_is_faded_in(monitor: FilterMonitor):
    fading = (block._replace(steady=False) for block in Ear().blocks(ActiveFilter("good", GOOD, 1.0), 2.0))
    assert verdicts(monitor, fading) == []
