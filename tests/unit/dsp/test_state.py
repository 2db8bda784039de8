"""A restored filter continues bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.dsp import FDAF, NLMS, FxNLMS, Predictor, Statistics

FILTERS = {
    "NLMS float32": lambda: NLMS(40),
    "NLMS float64": lambda: NLMS(33, 0.7, dtype=np.float64, leak=1e-4, gate=1e-3),
    "FxNLMS": lambda: FxNLMS(40, 0.01, secondary=[0.0, 0.5, 0.2]),
    "FxNLMS with a path of its own": lambda: FxNLMS(4, 0.01, secondary=np.ones(9), path=[0.0, 0.5, 0.2, 0.1]),
    "FDAF": lambda: FDAF(40, block=16),
    "FDAF float64, shorter than its block": lambda: FDAF(10, block=16, dtype=np.float64),
    "Predictor": lambda: Predictor(24, 17),
}


def step(f, x, d):
    return f.process(x) if isinstance(f, Predictor) else f.process(x, d)


@pytest.mark.parametrize("name", FILTERS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_a_stored_filter_continues_bit_for_bit(name, seed, blocks):
    rng = np.random.default_rng(seed)
    kept, stored = FILTERS[name](), FILTERS[name]()
    for count in blocks:
        x, d = rng.standard_normal((2, 16 * count))
        stored = type(stored).from_state(stored.state())
        for ours, theirs in zip(step(kept, x, d), step(stored, x, d), strict=True):
            assert np.array_equal(ours, theirs)
    assert kept.state() == stored.state()


@pytest.mark.parametrize("name", FILTERS)
def test_a_damaged_state_is_refused(name):
    f = FILTERS[name]()
    step(f, np.ones(16), np.ones(16))
    state = f.state()
    for at in range(0, len(state), 7):
        damaged = bytearray(state)
        damaged[at] ^= 0x10
        with pytest.raises(ValueError, match="state"):
            type(f).from_state(bytes(damaged))
    for cut in (b"", state[:3], state[:20], state[:-1], state + b"\0"):
        with pytest.raises(ValueError, match="state"):
            type(f).from_state(cut)


def test_a_state_of_another_filter_is_refused():
    with pytest.raises(ValueError, match=r"kind must be nlms \(got fdaf\)"):
        NLMS.from_state(FDAF(16, block=16).state())


def test_a_state_of_another_version_is_refused():
    state = bytearray(NLMS(4).state())
    state[4] = 99
    with pytest.raises(ValueError, match="version 99"):
        NLMS.from_state(bytes(state))


@pytest.mark.parametrize(
    ("f", "limit"),
    [
        (NLMS(512), 4200),
        (FDAF(512, block=128), 15_000),
        (FDAF(512, block=512), 15_000),
        (FDAF(512, block=1024), 15_000),
    ],
)
def test_state_stays_small(f, limit):
    f.process(np.ones(1024), np.ones(1024))
    assert len(f.state()) <= limit


def test_statistics_of_512_taps_travel_in_about_4_kilobytes():
    x = np.random.default_rng(0).standard_normal(4000)
    statistics = Statistics.measure(x, x, [0.0, 1.0])
    data = statistics.to_bytes()
    assert len(data) <= 4200
    w = np.linspace(0.1, -0.1, 512)
    assert Statistics.from_bytes(data).attenuation_db(w) == pytest.approx(
        statistics.attenuation_db(w), abs=1e-3
    )


@pytest.mark.parametrize("name", FILTERS)
def test_clear_history_keeps_the_weights(name):
    f = FILTERS[name]()
    step(f, *np.random.default_rng(1).standard_normal((2, 160)))
    w = f.w.copy()
    f.clear_history()
    assert np.array_equal(f.w, w)
    # With the past gone, silence in gives silence out.
    assert not np.any(step(f, np.zeros(48), np.zeros(48))[0])
