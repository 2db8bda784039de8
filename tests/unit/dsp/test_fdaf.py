"""The frequency-domain filter equals its equations and outperforms NLMS on coloured noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.dsp import FDAF, NLMS, attenuation_db

RATE = 16_000
KINDS = ("tone", "harmonics", "chirp", "offset", "clipped", "modulated")


def dft_reference(x, d, taps, mu, block, eps=1e-6, memory=0.9):
    """Return the residual of overlap-save block updates with DFT matrices."""
    size, partitions = 2 * block, -(-taps // block)
    F = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
    past, w, power = (
        np.concatenate([np.zeros(partitions * block), x]),
        np.zeros((partitions, block)),
        np.zeros(size),
    )
    lag = np.minimum(np.arange(size), size - np.arange(size))
    residual = []
    for start in range(0, len(x), block):
        X = [F @ past[start + (partitions - 1 - p) * block :][:size] for p in range(partitions)]
        y = [
            past[start + partitions * block + n :: -1][: partitions * block] @ w.ravel() for n in range(block)
        ]
        e = d[start : start + block] - y
        now = sum(np.abs(X_p) ** 2 for X_p in X)
        power = np.maximum(memory * power + (1 - memory) * now, now)
        leaking = np.real(F @ (np.real(F.conj() @ power) / size * (1 - lag / block)))
        scale = np.maximum(power, leaking) + eps * size / taps
        E = F @ np.concatenate([np.zeros(block), e])
        for p in range(partitions):
            w[p] += mu * np.real(F.conj() @ (X[p].conj() * E / scale) / size)[:block]
        w.ravel()[taps:] = 0
        here = d[start : start + block]
        residual.append(e if e @ e <= here @ here else here)
    return np.concatenate(residual)


@pytest.mark.parametrize(("taps", "block"), [(32, 32), (64, 16), (40, 16), (10, 16), (1, 4)])
def test_fdaf_equals_its_equations(taps, block):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(40 * block)
    d = np.convolve(x, rng.standard_normal(12))[: x.size]
    expected = dft_reference(x, d, taps, 0.5, block)
    assert np.abs(FDAF(taps, 0.5, block=block, dtype=np.float64).process(x, d)[1] - expected).max() < 1e-11
    assert np.abs(FDAF(taps, 0.5, block=block).process(x, d)[1] - expected).max() < 2e-5


def test_blocks_may_come_one_by_one_or_together():
    x, d = np.random.default_rng(1).standard_normal((2, 640))
    together = FDAF(50, block=16).process(x, d)[1]
    f = FDAF(50, block=16)
    one_by_one = [f.process(x[at : at + 16], d[at : at + 16])[1] for at in range(0, 640, 16)]
    assert np.array_equal(np.concatenate(one_by_one), together)


def test_weights_can_be_set_and_are_the_impulse_response():
    f = FDAF(20, 0.0, block=8, dtype=np.float64)
    f.w = np.arange(20.0)
    x = np.random.default_rng(2).standard_normal(80)
    expected = np.convolve(x, np.arange(20.0))[:80]
    assert np.allclose(f.process(x, expected)[0], expected)
    assert np.array_equal(f.w, np.arange(20.0))


@pytest.mark.parametrize("block", [128, 256, 512, 1024])
def test_fdaf_removes_at_least_8_db_more_than_nlms_under_speech_20_db_below(block):
    rng = np.random.default_rng(3)
    n, rate = 48_000 * 6 // 1024 * 1024, 48_000
    f = np.fft.rfftfreq(n, 1 / rate)

    def coloured(gain):
        sound = np.fft.irfft(gain * np.fft.rfft(rng.standard_normal(n)), n)
        return sound / sound.std()

    noise = coloured(1 / (1 + f / 200))  # as in a cabin: flat to 200 Hz, then 6 dB an octave down
    syllables = np.repeat(rng.uniform(0, 2, -(-n // 6000)), 6000)[:n]
    speech = 0.1 * syllables * coloured(1 / (1 + ((f - 500) / 300) ** 2))
    path = rng.standard_normal(200) * np.exp(-np.arange(200) / 30)
    at_ear = np.convolve(noise, path)[:n]
    speech *= at_ear.std()

    def attenuation(filter_):
        e = filter_.process(noise, at_ear + speech)[1]
        return attenuation_db(at_ear[n // 2 :], (e - speech)[n // 2 :])

    assert attenuation(FDAF(512, 0.5, block=block)) >= attenuation(NLMS(512, 0.5)) + 8


def tonal_pair(kind, hz, floor_db, seed):
    """Return two seconds of a narrow-band reference and its filtered copy at the ear."""
    rng = np.random.default_rng(seed)
    t = np.arange(2 * RATE) / RATE
    x = {
        "tone": lambda: 0.3 * np.sin(2 * np.pi * hz * t),
        "harmonics": lambda: sum(
            np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 12) if k * hz < RATE / 2
        ),
        "chirp": lambda: 0.3 * np.sin(2 * np.pi * (hz * t + 40 * t * t)),
        "offset": lambda: np.full(t.size, 0.3),
        "clipped": lambda: np.clip(3 * np.sin(2 * np.pi * hz * t), -0.9, 0.9),
        "modulated": lambda: 0.3 * np.sin(2 * np.pi * hz * t) * (1 + 0.8 * np.sin(2 * np.pi * 3 * t)),
    }[kind]()
    path = rng.standard_normal(40) * np.exp(-np.arange(40) / 10)
    noise = 10 ** (floor_db / 20) * rng.standard_normal((2, t.size))
    return x + noise[0], np.convolve(x, path)[: t.size] + noise[1]


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    hz=st.floats(30, 4000),
    floor_db=st.floats(-120, -40),
    mu=st.sampled_from([0.1, 0.5, 1.0]),
    block=st.sampled_from([64, 128, 512]),
    seed=st.integers(0, 2**16),
)
def test_no_block_of_a_narrow_band_signal_gets_louder(kind, hz, floor_db, mu, block, seed):
    x, d = tonal_pair(kind, hz, floor_db, seed)
    n = d.size // block * block
    e = FDAF(512, mu, block=block).process(x[:n], d[:n])[1].reshape(-1, block)
    assert (
        np.square(e).sum(1) <= np.square(d[:n].astype(np.float32)).reshape(-1, block).sum(1) * 1.001
    ).all()


@pytest.mark.parametrize("hz", [50, 100, 200, 440, 1000, 3000])
@pytest.mark.parametrize("kind", ["tone", "harmonics"])
def test_steady_tones_and_hum_are_removed_by_20_db(kind, hz):
    x, d = tonal_pair(kind, hz, -80, 1)
    n = d.size // 512 * 512
    e = FDAF(512, 0.5).process(x[:n], d[:n])[1]
    assert attenuation_db(d[n // 2 : n], e[n // 2 :]) >= 20


def test_weights_that_diverged_are_set_to_zero_and_counted():
    f = FDAF(16, 0.5, block=16)
    f.w = np.full(16, 1e6)
    x, d = np.random.default_rng(0).standard_normal((2, 160))
    e = f.process(x, d)[1]
    assert f.resets == 1
    assert np.abs(e).max() <= np.abs(d).max() + 1e-6
    assert FDAF.from_state(f.state()).resets == 1
