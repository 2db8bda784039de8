"""A guarded filter equals the bare filter unless that would be louder than its input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.dsp import FDAF, NLMS, Predictor
from anc.dsp.guarded import GuardedFilter
from anc.services.sound.adaptive_filters import restore_filter
from benchmarks.never_louder import MAX_EXCESS, draw, excess_db

RATE = 16_000
BEFORE_S, PAUSE_S, AFTER_S = 4, 4, 3


def noise_and_ear(n, seed=0):
    rng = np.random.default_rng(seed)
    x = 0.1 * rng.standard_normal(n)
    path = rng.standard_normal(60) * np.exp(-np.arange(60) / 12)
    return x.astype(np.float32), np.convolve(x, path)[:n].astype(np.float32)


def pausing_reference(leak):
    """Return noise with a pause that contains speech; `leak` is its share at the reference."""
    n, rate = (BEFORE_S + PAUSE_S + AFTER_S) * RATE, RATE
    x, d = noise_and_ear(n)
    rng = np.random.default_rng(1)
    pause = slice(BEFORE_S * rate, (BEFORE_S + PAUSE_S) * rate)
    syllables = np.clip(np.sin(2 * np.pi * 3 * np.arange(PAUSE_S * rate) / rate), 0, 1)
    talk = 0.05 * syllables * rng.standard_normal(PAUSE_S * rate)
    x[pause], d[pause] = leak * talk, talk
    microphones = 5e-5 * rng.standard_normal((2, n))
    return (x + microphones[0]).astype(np.float32), (d + microphones[1]).astype(np.float32)


def attenuation_by_second(e, d):
    seconds = e.size // RATE
    before, after = (np.square(s[: seconds * RATE].reshape(seconds, RATE)).sum(1) for s in (d, e))
    return 10 * np.log10(before / after)


def run(f, x, d, block):
    starts = range(0, d.size // block * block, block)
    return np.concatenate([f.process(x[k : k + block], d[k : k + block])[1] for k in starts])


@pytest.mark.parametrize("block", [128, 1024, 1600])
def test_in_steady_noise_the_output_equals_that_of_the_bare_filter_bit_for_bit(block):
    x, d = noise_and_ear(30 * block)
    bare, guarded = NLMS(512, 0.5), GuardedFilter(NLMS(512, 0.5), RATE)
    assert np.array_equal(run(bare, x, d, block), run(guarded, x, d, block))
    assert np.array_equal(bare.w, guarded.bare.w)
    assert guarded.resets == 0


@pytest.mark.parametrize("leak", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("bare", [NLMS(512, 0.5), FDAF(512, 0.5, block=512)], ids=["nlms", "fdaf"])
def test_noise_after_a_pause_is_attenuated_within_a_second(bare, leak):
    x, d = pausing_reference(leak)
    attenuation = attenuation_by_second(
        run(GuardedFilter(type(bare).from_state(bare.state()), RATE), x, d, 2048), d
    )
    assert attenuation.min() > -3
    assert attenuation[BEFORE_S + PAUSE_S + 1] > 20


def test_without_the_guard_noise_after_a_pause_is_amplified():
    x, d = pausing_reference(0.0)
    assert attenuation_by_second(run(NLMS(512, 0.5), x, d, 2048), d).min() < -6


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_second_of_a_random_signal_is_3_db_louder_than_its_input(seed):
    trial = draw(np.random.default_rng(seed), seconds=2)
    assert excess_db(trial) < 10 * np.log10(MAX_EXCESS), trial.about


@pytest.mark.parametrize("mu", [0.5, 2.0])
def test_overflowing_weights_are_replaced(mu):
    guarded = GuardedFilter(NLMS(64, mu), RATE)
    x, d = noise_and_ear(3200)
    guarded.process(x, d)
    guarded.bare.w = np.full(64, 3e38, np.float32)
    y, e = guarded.process(x, d)
    assert np.isfinite(e).all()
    assert np.square(e).sum() <= 2 * np.square(d).sum()
    assert guarded.resets > 0
    assert np.allclose(y, d - e, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [lambda: NLMS(64), lambda: FDAF(64, block=128), lambda: Predictor(64, 5)],
    ids=["nlms", "fdaf", "predictor"],
)
def test_a_state_continues_bit_for_bit(make):
    x, d = pausing_reference(0.0)
    at = (BEFORE_S + PAUSE_S) * RATE - 1024
    first = GuardedFilter(make(), RATE)
    run(first, x[:at], d[:at], 1024)
    second = GuardedFilter.from_state(type(first.bare), first.state())
    e = [run(f, x[at : at + 20480], d[at : at + 20480], 1024) for f in (first, second)]
    assert np.array_equal(*e)
    assert first.resets == second.resets
    assert first.state() == second.state()


def test_a_filter_stored_without_a_guard_is_restored_with_one():
    bare = NLMS(16)
    x, d = noise_and_ear(320)
    bare.process(x, d)
    restored = restore_filter("cancel", "nlms", bare.state(), rate=RATE)
    assert isinstance(restored, GuardedFilter)
    assert np.array_equal(restored.process(x, d)[1], bare.process(x, d)[1])


@pytest.mark.parametrize("damage", [b"", b"ANCF", b"x" * 200])
def test_invalid_states_are_rejected(damage):
    with pytest.raises(ValueError, match="state"):
        restore_filter("cancel", "nlms", damage, rate=RATE)


@pytest.mark.parametrize(
    "create",
    [lambda: NLMS(64), lambda: FDAF(64, block=64), lambda: Predictor(64, 5)],
    ids=["nlms", "fdaf", "predictor"],
)
def test_a_repeated_block_starts_from_the_state_before_it(create, monkeypatch):
    x, d = pausing_reference(0.0)
    bare, guarded = create(), GuardedFilter(create(), RATE)
    for part in (slice(0, 1920), slice(1920, 3840)):
        bare.process(*(d[part],) if isinstance(bare, Predictor) else (x[part], d[part]))
        answers = iter([0])  # the whole block is repeated, and each step is good
        monkeypatch.setattr(guarded, "_first_step_to_repeat", lambda *_, answers=answers: next(answers, None))
        guarded.process(x[part], d[part])
    following = slice(3840, 5760)
    monkeypatch.undo()
    expected = bare.process(*(d[following],) if isinstance(bare, Predictor) else (x[following], d[following]))
    assert np.allclose(guarded.process(x[following], d[following])[1], expected[1], atol=1e-5)
