"""The best fixed filter."""

import numpy as np
import pytest

from simulation.oracle import best_fixed_filter_db


@pytest.mark.parametrize("span", [slice(None), slice(300, None), slice(100, 900)])
def test_it_is_the_least_squares_solution_over_exactly_the_span(span: slice):
    rng = np.random.default_rng(1)
    x, d = rng.standard_normal((2, 1000))
    secondary = np.array([0.0, 0.7, 0.2])
    taps = 16
    v = np.convolve(x, secondary)[:1000]
    columns = np.stack([np.concatenate([np.zeros(k), v[: 1000 - k]]) for k in range(taps)], axis=1)[span]
    w, *_ = np.linalg.lstsq(columns, d[span], rcond=None)
    residual = d[span] - columns @ w
    expected = 10 * np.log10(np.sum(d[span] ** 2) / np.sum(residual**2))
    assert best_fixed_filter_db(x, d, secondary, span, taps) == pytest.approx(expected, abs=1e-6)


def test_no_causal_filter_cancels_noise_that_leads_the_driver():
    rng = np.random.default_rng(2)
    x = rng.standard_normal(20_000)
    delayed = np.concatenate([np.zeros(5), [1.0]])
    assert best_fixed_filter_db(x, x, delayed, slice(None), 64) == pytest.approx(0.0, abs=0.1)
