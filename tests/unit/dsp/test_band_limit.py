"""Control filters do not amplify bands that carry little of the noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.dsp import BandLimit, Statistics, attenuation_db, design_control_filter, design_for_priors
from anc.dsp.band_limit import MAX_AMPLIFICATION_DB, band_edges_hz, band_energies

RATE = 16_000
SECONDARY = np.concatenate([np.zeros(6), 0.8 * 0.4 ** np.arange(10)])
PRIMARY = np.concatenate([np.zeros(8), 0.7 * 0.6 ** np.arange(20)])


def partly_coherent(seed, seconds=2, incoherent_db=-30.0, corner_hz=1_500.0):
    """Return loud low noise that both microphones share, and weak high noise that they do not share."""
    rng = np.random.default_rng(seed)
    n = seconds * RATE
    hz = np.fft.rfftfreq(n, 1 / RATE)

    def band(keep):
        return np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * keep, n)

    common = band(hz < corner_hz)
    level = 10 ** (incoherent_db / 20)
    x = common + level * band(hz >= corner_hz)
    d = np.convolve(common, PRIMARY)[:n] + 0.5 * level * band(hz >= corner_hz)
    return x, d


def amplification_db(w, x, d):
    e = d - np.convolve(np.convolve(x, w), SECONDARY)[: x.size]
    energy = band_energies(d, RATE)
    rise = 10 * np.log10(band_energies(e, RATE) / energy)
    return rise[energy > 1e-5 * energy.max()]


def test_an_incoherent_band_is_not_amplified():
    x, d = partly_coherent(0)
    first, later = slice(RATE), slice(RATE, None)
    halves = Statistics.measure_segments(x[first], d[first], SECONDARY, 512, RATE, count=2)
    (unlimited,) = design_for_priors(halves, [None])

    limited = design_control_filter(x[first], d[first], SECONDARY, rate=RATE)

    assert amplification_db(unlimited.taps, x[later], d[later]).max() > 4.0
    assert amplification_db(limited.taps, x[later], d[later]).max() < 3.0


def test_the_limit_costs_little_attenuation():
    x, d = partly_coherent(1)
    limit = BandLimit.measure(x, d, SECONDARY, RATE)
    halves = Statistics.measure_segments(x, d, SECONDARY, 512, RATE, count=2)

    (free,) = design_for_priors(halves, [None])
    (limited,) = design_for_priors(halves, [None], limit=limit)

    def attenuation(design):
        return attenuation_db(d, d - np.convolve(np.convolve(x, design.taps), SECONDARY)[: d.size])

    assert attenuation(limited) > attenuation(free) - 1.0
    change = attenuation(limited) - attenuation(free)
    assert limited.predicted_gain_db == pytest.approx(free.predicted_gain_db + change, abs=0.3)


def test_a_filter_below_the_limit_is_not_changed():
    x, d = partly_coherent(2, incoherent_db=-200.0)
    w = design_control_filter(x, d, SECONDARY, rate=RATE).taps.astype(float)

    assert BandLimit.measure(x, d, SECONDARY, RATE).apply(w, Statistics.measure(x, d, SECONDARY), 1e-3) is w


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-40, 0), st.floats(1_000, 5_000))
def test_no_design_amplifies_a_band_of_its_own_sound_beyond_the_limit(seed, incoherent_db, corner_hz):
    x, d = partly_coherent(seed, 1, incoherent_db, corner_hz)
    w = design_control_filter(x, d, SECONDARY, taps=256, rate=RATE).taps

    assert amplification_db(w, x, d).max() < MAX_AMPLIFICATION_DB + 1.0


@pytest.mark.parametrize("rate", [200, 8_000, 11_025, 48_000])
def test_the_bands_cover_every_frequency_once(rate):
    edges = band_edges_hz(rate)
    signal = np.random.default_rng(0).standard_normal(1_000)

    assert edges[0] == 0
    assert np.all(np.diff(edges) > 0)
    assert edges[-1] <= rate / 2
    assert band_energies(signal, rate).shape == edges.shape


def test_silence_has_no_band_to_limit():
    limit = BandLimit.measure(np.zeros(4_000), np.zeros(4_000), SECONDARY, RATE)

    assert limit.amplification_db(np.ones(512)).tolist() == [0.0] * band_edges_hz(RATE).size
