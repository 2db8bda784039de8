"""The fast filters equal the textbook recursions to rounding, for any block lengths."""

from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.dsp import NLMS, FxNLMS, fxnlms_reference, kernel, nlms_reference

CLOSE = {np.float32: 2e-6, np.float64: 1e-12}

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float32, np.float64])
tap_counts = st.one_of(st.integers(2, 40), st.sampled_from([63, 64, 100, 128]))


@pytest.fixture(
    scope="module",
    autouse=True,
    params=[
        "numpy",
        pytest.param(
            "compiled", marks=pytest.mark.skipif(kernel.nlms is None, reason="the kernel was not compiled")
        ),
    ],
)
def implementation(request):
    """Run each test with numpy and with the compiled kernel."""
    function = kernel.nlms if request.param == "compiled" else None
    with patch("anc.dsp.nlms.kernel", SimpleNamespace(nlms=function)):
        yield request.param


def scene(rng, n, kind="noise"):
    """Return a reference, and a primary: the filtered reference with noise 20 dB below."""
    t = np.arange(n)
    x = {
        "noise": lambda: rng.standard_normal(n),
        "tone": lambda: np.sin(2 * np.pi * rng.uniform(0.001, 0.4) * t),
        "dc": lambda: np.full(n, 0.7),
        "silence": lambda: np.zeros(n),
        "int16 scale": lambda: np.round(8000 * rng.standard_normal(n)),
        "80 dB drops": lambda: rng.standard_normal(n) * np.where(t // 97 % 2, 1e-4, 1.0),
    }[kind]()
    path = rng.standard_normal(12) * 0.7 ** np.arange(12)
    return x, np.convolve(x, path)[:n] + 0.1 * np.abs(x).max() * rng.standard_normal(n)


def in_blocks(f, x, d, lengths):
    """Return the residual of a filter for a stream in blocks of these lengths, repeated."""
    residual, at, k = [], 0, 0
    while at < len(x):
        stop = at + lengths[k % len(lengths)]
        residual.append(f.process(x[at:stop], d[at:stop])[1])
        at, k = stop, k + 1
    return np.concatenate(residual)


def plain_loop(x, d, taps, mu, dtype):
    """Return the residual of a plain loop in `dtype`."""
    past, w, e = (
        np.concatenate([np.zeros(taps - 1), x]).astype(dtype),
        np.zeros(taps, dtype),
        np.zeros(len(x)),
    )
    for n in range(len(x)):
        x_n = past[n : n + taps]
        e[n] = dtype(d[n]) - w @ x_n
        w += dtype(mu) * dtype(e[n]) / (dtype(1e-6) + x_n @ x_n) * x_n
    return e


def rounding(x, d, taps, mu, dtype, expected):
    """Return the allowed deviation, at least that of a plain loop."""
    plain = np.abs(plain_loop(x, d, taps, mu, dtype) - expected).max()
    return max(5 * CLOSE[dtype] * np.abs(d).max(), 4 * plain)


@settings(max_examples=60, deadline=None)
@given(seeds, dtypes, tap_counts, st.lists(st.integers(1, 300), min_size=1, max_size=5), st.floats(0.01, 1.0))
def test_nlms_equals_the_recursion_for_any_block_lengths(seed, dtype, taps, lengths, mu):
    x, d = scene(np.random.default_rng(seed), 700)
    expected = nlms_reference(x, d, taps, mu)[1]
    deviation = np.abs(in_blocks(NLMS(taps, mu, dtype=dtype), x, d, lengths) - expected).max()
    assert deviation <= rounding(x, d, taps, mu, dtype, expected)


@settings(max_examples=40, deadline=None)
@given(seeds, dtypes, tap_counts, st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(1, 60))
def test_fxnlms_equals_the_recursion_for_any_block_lengths(seed, dtype, taps, lengths, path_length):
    rng = np.random.default_rng(seed)
    x, d = scene(rng, 600)
    S = rng.standard_normal(path_length) * 0.8 ** np.arange(path_length)
    mu = 0.5 / (taps + 8 * path_length)  # a step at which the recursion itself is stable
    expected = fxnlms_reference(x, d, taps, mu, secondary=S)[1]
    e = in_blocks(FxNLMS(taps, mu, secondary=S, dtype=dtype), x, d, lengths)
    assert np.abs(e - expected).max() <= CLOSE[dtype] * np.abs(d).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["noise", "tone", "dc", "silence", "int16 scale", "80 dB drops"])
def test_nlms_equals_the_recursion_on_every_kind_of_sound(kind, dtype):
    x, d = scene(np.random.default_rng(3), 4000, kind)
    expected = nlms_reference(x, d, 96)[1]
    deviation = np.abs(in_blocks(NLMS(96, dtype=dtype), x, d, [1000]) - expected).max()
    assert deviation <= rounding(x, d, 96, 0.5, dtype, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nlms_is_as_exact_as_a_plain_loop_of_its_precision(dtype):
    x, d = scene(np.random.default_rng(4), 6000)
    expected = nlms_reference(x, d, 512)[1]
    ours = np.abs(NLMS(512, dtype=dtype).process(x, d)[1] - expected).max()
    plain = np.abs(plain_loop(x, d, 512, 0.5, dtype) - expected).max()
    assert ours <= max(plain, 1e-14)


@pytest.mark.parametrize(("leak", "gate"), [(1e-3, 0.0), (1e-2, 0.0), (0.0, 1e-2), (1e-4, 1e-2)])
def test_leak_and_gate_equal_the_recursion(leak, gate):
    x, d = scene(np.random.default_rng(5), 3000, "80 dB drops")
    expected = nlms_reference(x, d, 48, leak=leak, gate=gate)[1]
    e = in_blocks(NLMS(48, dtype=np.float64, leak=leak, gate=gate), x, d, [333, 1, 64])
    assert np.abs(e - expected).max() <= 1e-12 * np.abs(d).max()


def test_a_secondary_path_other_than_its_model_is_simulated_exactly():
    rng = np.random.default_rng(6)
    x, d = scene(rng, 2000)
    S, s = rng.standard_normal((2, 20)) * 0.8 ** np.arange(20)
    expected = fxnlms_reference(x, d, 64, 0.01, secondary=s + 0.1 * S, path=s)
    got = FxNLMS(64, 0.01, secondary=s + 0.1 * S, path=s, dtype=np.float64).process(x, d)
    assert np.abs(np.array(got) - expected).max() <= 1e-12 * np.abs(d).max()


def test_with_a_secondary_path_of_one_unit_sample_fxnlms_is_nlms():
    x, d = scene(np.random.default_rng(7), 2000)
    nlms, fxnlms = NLMS(64, 0.3, dtype=np.float64), FxNLMS(64, 0.3, secondary=[1.0], dtype=np.float64)
    assert np.allclose(nlms.process(x, d), fxnlms.process(x, d), rtol=0, atol=1e-12)


def test_output_and_residual_add_up_to_the_primary():
    x, d = scene(np.random.default_rng(8), 500)
    y, e = NLMS(32, dtype=np.float64).process(x, d)
    assert np.allclose(y + e, d, rtol=0, atol=1e-14)
