"""The real-time controller of the headset."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iot.controller import FADE_S, NO_FILTER, ActiveFilter, Controller

RATE = 16_000
FADE = int(FADE_S * RATE)
W = np.array([0.5, -0.25, 0.125], np.float32)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def playing(active: ActiveFilter) -> Controller:
    controller = Controller(RATE, 512)
    controller.play(active, at=0.0)
    controller.process(np.zeros(2 * FADE, np.float32), at=0.0)
    return controller


def test_the_output_is_the_filtered_reference_times_the_gain():
    x = noise(1000)
    y = playing(ActiveFilter("a", W, 0.5)).process(x, at=1.0)
    np.testing.assert_allclose(y, 0.5 * np.convolve(x, W)[:1000], atol=1e-6)


def test_the_output_is_clipped_as_the_driver_clips_it():
    x = noise(1000)
    y = playing(ActiveFilter("a", 4 * W, 1.0)).process(x, at=1.0)
    expected = 4 * np.convolve(x, W)[:1000]
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(y, np.clip(expected, -1, 1), atol=1e-5)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8))
def test_the_block_length_does_not_change_the_output(sizes: list[int]):
    x = noise(sum(sizes))
    whole = playing(ActiveFilter("a", W, 1.0)).process(x, at=1.0)
    controller = playing(ActiveFilter("a", W, 1.0))
    parts = [controller.process(part, at=1.0) for part in np.split(x, np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_an_order_never_affects_earlier_samples():
    controller = Controller(RATE, 512)
    controller.play(ActiveFilter("a", W, 1.0), at=1.0)
    assert not controller.process(noise(256), at=0.999).any()
    assert controller.process(noise(256), at=1.0).any()


def test_a_filter_fades_in_over_50_ms_without_a_jump():
    controller = playing(ActiveFilter("a", np.ones(1, np.float32), 1.0))
    controller.play(ActiveFilter("b", -np.ones(1, np.float32), 1.0), at=2.0)
    y = controller.process(np.ones(FADE, np.float32), at=2.0)
    assert not controller.steady
    assert np.abs(np.diff(y)).max() < 3 / FADE
    assert y[-1] == pytest.approx(-1.0)
    assert controller.process(np.ones(10, np.float32), at=3.0) == pytest.approx(-1.0)
    assert controller.steady


def test_orders_during_a_fade_are_deferred_and_the_last_one_applies():
    controller = Controller(RATE, 512)
    controller.play(ActiveFilter("a", W, 1.0), at=0.0)
    controller.process(noise(FADE // 2), at=0.0)
    controller.play(ActiveFilter("b", W, 1.0), at=0.01)
    controller.play(NO_FILTER, at=0.02)
    controller.process(noise(FADE), at=0.05)
    assert controller.active.filter_id == "a"
    controller.process(noise(2 * FADE), at=0.1)
    assert controller.active is NO_FILTER
    assert not controller.process(noise(100), at=0.2).any()


def test_a_repeated_order_causes_no_fade():
    controller = playing(ActiveFilter("a", W, 1.0))
    controller.play(ActiveFilter("a", W, 1.0), at=1.0)
    controller.process(noise(100), at=1.0)
    assert controller.steady


def test_a_filter_longer_than_the_limit_is_rejected():
    with pytest.raises(ValueError, match=r"at most 512 taps \(got 513\)"):
        Controller(RATE, 512).play(ActiveFilter("a", np.zeros(513, np.float32), 1.0), at=0.0)
