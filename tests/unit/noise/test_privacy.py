"""Reconstruction of speech from a snapshot in privacy mode, with common methods.

`pytest -s tests/unit/noise/test_privacy.py` prints the figures that the page on privacy quotes.
"""

import numpy as np
import pytest

from anc.dsp import Statistics
from anc.noise import summary
from anc.noise.features import OFFSET_DB, band_edges, column_length, unpack
from iot.fir import Signal
from training.synthesis import speech

RATE, TAPS = 16_000, 512
SECONDARY = np.array([0.0, 0.0, 0.8, 0.3])
ROUNDS = 60
VOICES = range(6)


def voice(seed: int) -> Signal:
    return 0.1 * speech(RATE, np.random.default_rng(seed))


def statistics(x: Signal) -> Statistics:
    d = np.convolve(x, [0.0, 0.0, 0.0, 0.7, 0.2])[: x.size]
    return Statistics.measure(x, d, SECONDARY, TAPS, RATE)


def from_summary(sent: bytes, rng: np.random.Generator) -> Signal:
    """Return a sound with a given summary, (RATE,): Griffin and Lim, IEEE Trans. ASSP 32(2), 1984."""
    spectrogram, length = unpack(sent), column_length(RATE)
    starts = np.arange(len(spectrogram)) * RATE // 48
    window, hz = np.hanning(length + 1)[:-1], np.fft.rfftfreq(length, 1 / RATE)
    decibels = [np.interp(hz, band_edges()[1:-1], column - OFFSET_DB) for column in spectrogram.astype(float)]
    magnitude = np.sqrt(10 ** (np.array(decibels) / 10) * RATE * (window @ window) / 2)
    spectra = np.exp(2j * np.pi * rng.random(magnitude.shape))
    for _ in range(ROUNDS):
        sound, weight = np.zeros(RATE), np.full(RATE, 1e-3)
        for at, spectrum in zip(
            starts, magnitude * spectra / np.maximum(np.abs(spectra), 1e-12), strict=True
        ):
            sound[at : at + length] += window * np.fft.irfft(spectrum, length)
            weight[at : at + length] += window**2
        sound /= weight
        spectra = np.fft.rfft([window * sound[at : at + length] for at in starts])
    return sound


def from_statistics(sent: Statistics, rng: np.random.Generator) -> Signal:
    """Return noise with the spectrum given by the statistics, with S removed, (RATE,)."""
    r = sent.autocorrelation * np.hanning(2 * TAPS)[TAPS:]
    power = np.fft.rfft(np.concatenate([r, np.zeros(RATE - 2 * TAPS + 1), r[:0:-1]])).real
    power /= np.maximum(np.abs(np.fft.rfft(SECONDARY, RATE)) ** 2, 1e-3)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(RATE)) * np.sqrt(np.maximum(power, 0.0)))


def intelligibility(clean: Signal, other: Signal) -> float:
    """Return the short-time objective intelligibility (Taal et al., IEEE Trans. ASLP 19(7), 2011).

    Frames 40 dB below the loudest frame of the original are left out, as in the paper.
    """
    frame, together, clip = int(0.0256 * RATE), 30, 1 + 10 ** (15 / 20)
    hz, centres = np.fft.rfftfreq(1024, 1 / RATE), 150 * 2 ** (np.arange(15) / 3)
    bands = [(hz >= f * 2 ** (-1 / 6)) & (hz < f * 2 ** (1 / 6)) for f in centres]

    def frames(signal: Signal) -> Signal:
        return np.lib.stride_tricks.sliding_window_view(signal, frame)[:: frame // 2] * np.hanning(frame)

    energy = np.square(frames(clean)).sum(axis=1)

    def envelopes(signal: Signal) -> Signal:
        power = np.abs(np.fft.rfft(frames(signal)[energy > 1e-4 * energy.max()], 1024)) ** 2
        levels = np.sqrt([power[:, band].sum(axis=1) for band in bands])
        return np.lib.stride_tricks.sliding_window_view(levels, together, axis=1)

    x, y = envelopes(clean), envelopes(other)
    y = y * np.linalg.norm(x, axis=2, keepdims=True) / np.linalg.norm(y, axis=2, keepdims=True)
    return float(np.mean(_correlation(x, np.minimum(y, clip * x))))


def _correlation(x: Signal, y: Signal) -> Signal:
    x, y = (one - one.mean(axis=-1, keepdims=True) for one in (x, y))
    return (x * y).sum(axis=-1) / (np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1))


def waveform(clean: Signal, other: Signal) -> float:
    """Return the maximum correlation of two sounds over all delays."""
    return float(
        np.abs(np.correlate(clean, other, "full")).max() / np.linalg.norm(clean) / np.linalg.norm(other)
    )


def test_statistics_do_not_contain_the_order_of_words() -> None:
    def second(*words: Signal) -> Signal:
        gap = np.zeros(RATE // 5)
        return np.concatenate([gap, words[0], gap, words[1], gap])

    yes, no = voice(0)[: RATE // 5], voice(1)[: RATE // 5]
    one, other = statistics(second(yes, no)), statistics(second(no, yes))
    np.testing.assert_allclose(one.autocorrelation, other.autocorrelation, atol=1e-3 * one.autocorrelation[0])
    np.testing.assert_allclose(
        one.crosscorrelation, other.crosscorrelation, atol=1e-3 * np.abs(one.crosscorrelation).max()
    )


def test_reconstruction_of_speech_in_privacy_mode_is_as_documented() -> None:
    results: dict[str, list[tuple[float, float]]] = {}
    for seed in VOICES:
        rng, clean = np.random.default_rng(seed), voice(seed)
        made = {
            "the summary": from_summary(summary(clean, RATE), rng),
            "the statistics": from_statistics(statistics(clean), rng),
            "other speech": voice(seed + 100),
        }
        for name, sound in made.items():
            results.setdefault(name, []).append((intelligibility(clean, sound), waveform(clean, sound)))
    for name, figures in results.items():
        (low, least), (high, most) = np.min(figures, axis=0), np.max(figures, axis=0)
        print(
            f"\n{name}: intelligibility {low:.2f} to {high:.2f}, waveform {least:.2f} to {most:.2f}", end=""
        )
    understood, alike = (
        dict(zip(results, column, strict=True)) for column in np.mean(list(results.values()), 1).T
    )
    assert understood["the summary"] > 0.8, "words can be made out, and the docs must say so"
    assert alike["the summary"] < 0.4
    assert understood["the statistics"] < understood["other speech"] + 0.1
    assert intelligibility(voice(0), voice(0)) == pytest.approx(1.0)


def test_the_pitch_of_a_steady_voice_can_be_seen_in_the_statistics() -> None:
    t = np.arange(RATE) / RATE
    hum = 0.05 * sum(np.sin(2 * np.pi * 180 * k * t) / k for k in range(1, 12))
    r = statistics(hum).autocorrelation
    lags = np.arange(40, 300)
    assert RATE / lags[np.argmax(r[lags])] == pytest.approx(180, rel=0.02)
