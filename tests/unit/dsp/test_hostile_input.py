"""Invalid input is refused without changing a filter; valid input never breaks it."""

import numpy as np
import pytest

from anc.dsp import FDAF, NLMS, FxNLMS, Predictor, attenuation_db

FILTERS = {
    "NLMS": lambda: NLMS(32),
    "FxNLMS": lambda: FxNLMS(32, 0.02, secondary=[0.0, 1.0, 0.3]),
    "FDAF": lambda: FDAF(32, block=16),
}
GOOD = np.random.default_rng(0).standard_normal((2, 64))


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("which", ["x", "d"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30])
def test_a_block_with_invalid_samples_is_refused_and_changes_nothing(name, which, poison):
    f = FILTERS[name]()
    f.process(*GOOD)
    before = f.state()
    block = {"x": GOOD[0].copy(), "d": GOOD[1].copy()}
    block[which][40] = poison
    with pytest.raises(ValueError, match=f"{which}: "):
        f.process(**block)
    assert f.state() == before


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("x", "d", "message"),
    [
        (np.zeros(0), np.zeros(0), "x: empty block"),
        (np.zeros((16, 2)), np.zeros(16), r"x: .*got shape \(16, 2\)"),
        (np.zeros(16), np.zeros(32), r"same number of samples \(got 16 and 32\)"),
        (np.zeros(16, complex), np.zeros(16), r"x: .* complex"),
        (np.array(["a"] * 16), np.zeros(16), "real samples"),
    ],
)
def test_an_error_says_what_is_wrong(name, x, d, message):
    with pytest.raises(ValueError, match=message):
        FILTERS[name]().process(x, d)


def test_fdaf_refuses_blocks_of_other_lengths():
    with pytest.raises(ValueError, match=r"multiple of the block, 16 \(got 17\)"):
        FDAF(32, block=16).process(np.zeros(17), np.zeros(17))


def test_the_predictor_refuses_invalid_samples_and_is_unchanged():
    f = Predictor(16, 4)
    f.process(GOOD[0])
    before = f.state()
    with pytest.raises(ValueError, match="sample 1 is NaN"):
        f.process([0.0, np.nan])
    assert f.state() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"taps": 0}, r"taps: must be .* \(got 0\)"),
        ({"taps": 2.5}, r"taps: must be .* \(got 2.5\)"),
        ({"taps": 8, "mu": 2.1}, r"mu: must be from 0 to 2 \(got 2.1\)"),
        ({"taps": 8, "mu": float("nan")}, r"mu: .*\(got nan\)"),
        ({"taps": 8, "eps": 0.0}, r"eps: .*\(got 0"),
        ({"taps": 8, "dtype": np.int16}, r"dtype: .*\(got int16\)"),
    ],
)
@pytest.mark.parametrize("kind", [NLMS, FDAF])
def test_parameters_outside_their_range_are_refused_by_name(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float16, np.float32, np.float64])
def test_all_real_sample_types_are_accepted(dtype):
    samples = (1000 * GOOD[0]).astype(dtype)
    assert np.array_equal(
        NLMS(8).process(samples, samples)[1], NLMS(8).process(samples.tolist(), samples.tolist())[1]
    )


@pytest.mark.parametrize("name", FILTERS)
def test_the_input_is_left_untouched(name):
    x, d = GOOD.astype(np.float32)
    FILTERS[name]().process(x, d)
    assert np.array_equal([x, d], GOOD.astype(np.float32))


@pytest.mark.parametrize("name", ["NLMS", "FDAF"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 32768.0, 1e6])
def test_a_filter_works_at_any_scale_and_through_silence_and_level_jumps(name, scale):
    rng = np.random.default_rng(1)
    loudness = np.repeat([1.0, 1e-4, 0.0, 1.0, 0.0, 1e-4, 1.0], 1600)
    x = loudness * rng.standard_normal(loudness.size)
    d = np.convolve(x, [0.5, -0.3, 0.2])[: x.size]
    f = FILTERS[name]()
    e = f.process(scale * x, scale * d)[1] / scale
    assert np.isfinite(f.w).all()
    assert np.abs(e).max() <= 3 * np.abs(d).max()
    # At 1e-6 the regularisation, an absolute power, is most of the norm and slows the filter down.
    assert attenuation_db(d[-800:], e[-800:]) >= (25 if scale >= 1 else 0)


def test_divergence_raises_and_leaves_the_filter_unchanged():
    # The model has the wrong sign, so every update makes the residual larger.
    f = FxNLMS(16, 1.0, secondary=[1.0], path=[-1.0], dtype=np.float32)
    x = np.random.default_rng(2).standard_normal(4000)
    before = f.state()
    with pytest.raises(ArithmeticError, match="diverged"):
        f.process(x, x)
    assert f.state() == before
