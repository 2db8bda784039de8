"""Coherence between reference microphone and ear, and the attenuation that it allows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.acoustic_plant import SPEED_OF_SOUND

SEGMENT = 2048  # at 16 kHz 128 ms, four times the length of a control filter of 512 taps
WINDOW_CORRELATION = 1 / 36  # squared correlation of two Hann windows that overlap by half (Welch, 1967)
MAX_LIMIT_DB = 60.0
THIRD_OCTAVES_HZ = tuple(round(1000 * 10 ** (k / 10)) for k in range(-12, 9))  # 63 Hz to 6.3 kHz


class CoherenceLimit(NamedTuple):
    """The attenuation that the coherence of x and d allows.

    Attributes
    ----------
    hz : (bins,) ndarray
    coherence : (bins,) ndarray
        Magnitude-squared coherence, 0 to 1.
    limit_db : (bins,) ndarray
        Limit for every frequency, -10 log10(1 - coherence), at most 60 dB.
    broadband_db : float
        Limit for the energy of d.
    """

    hz: NDArray[np.float64]
    coherence: NDArray[np.float64]
    limit_db: NDArray[np.float64]
    broadband_db: float


def coherence_limit(x: ArrayLike, d: ArrayLike, rate: int, segment: int = SEGMENT) -> CoherenceLimit:
    """Return the largest attenuation that a linear filter from x to d can reach (Welch's method).

    It holds for filters, causal or not, that are shorter than a segment. The expected value of the estimate
    for incoherent signals, one over the number of independent segments, is removed.

    Parameters
    ----------
    x, d : (n,) array_like
        Reference, and noise at the ear without control; at least two segments.
    rate : int
        Hz.
    segment : int
        Samples; segments overlap by half.

    Raises
    ------
    ValueError
        If the signals are shorter than two segments.

    References
    ----------
    Kuo and Morgan, Active Noise Control Systems, 1996, section 3.1; Carter, "Coherence and time delay
    estimation", Proc. IEEE 75(2), 1987.
    """
    spectra_x, spectra_d = _spectra(x, segment), _spectra(d, segment)
    independent = len(spectra_x) / (1 + 2 * WINDOW_CORRELATION)
    power_x, power_d = _power(spectra_x), _power(spectra_d)
    cross = (spectra_x.conj() * spectra_d).sum(axis=0)
    estimate = np.square(np.abs(cross)) / np.maximum(power_x * power_d, 1e-300)
    coherence = np.clip((estimate - 1 / independent) / (1 - 1 / independent), 0.0, 1.0)
    incoherent = np.maximum(1 - coherence, 10 ** (-MAX_LIMIT_DB / 10))
    total, left = float(power_d.sum()), float((incoherent * power_d).sum())
    return CoherenceLimit(
        _frequencies(segment, rate),
        coherence,
        np.asarray(-10 * np.log10(incoherent), float),
        10 * np.log10(total / left) if total > 0 else 0.0,
    )


def third_octave_levels_db(signal: ArrayLike, rate: int, segment: int = SEGMENT) -> NDArray[np.float64]:
    """Return the level of a signal in each third octave of `THIRD_OCTAVES_HZ`, (bands,), unscaled."""
    power = _power(_spectra(signal, segment))
    return _third_octaves_db(power, _frequencies(segment, rate))


def third_octave_limits_db(
    x: ArrayLike, d: ArrayLike, rate: int, segment: int = SEGMENT
) -> NDArray[np.float64]:
    """Return the coherence limit for the energy of d in each third octave, (bands,)."""
    limit = coherence_limit(x, d, rate, segment)
    power = _power(_spectra(d, segment))
    left = power * 10 ** (-limit.limit_db / 10)
    return _third_octaves_db(power, limit.hz) - _third_octaves_db(left, limit.hz)


def diffuse_coherence(hz: ArrayLike, distance_m: float) -> NDArray[np.float64]:
    """Return the magnitude-squared coherence of two points in a diffuse field, sinc(2 f r / c)^2.

    References
    ----------
    Cook et al., "Measurement of correlation coefficients in reverberant sound fields", JASA 27(6), 1955.
    """
    return np.sinc(2 * np.asarray(hz, float) * distance_m / SPEED_OF_SOUND) ** 2


def _spectra(signal: ArrayLike, segment: int) -> NDArray[np.complex128]:
    samples = np.asarray(signal, float)
    if samples.size < 2 * segment:
        raise ValueError(
            f"signal must have at least {2 * segment} samples, two segments (got {samples.size})"
        )
    parts = np.lib.stride_tricks.sliding_window_view(samples, segment)[:: segment // 2]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(segment) / segment)
    return np.fft.rfft(parts * window)


def _frequencies(segment: int, rate: int) -> NDArray[np.float64]:
    return np.asarray(np.fft.rfftfreq(segment, 1 / rate), np.float64)


def _power(spectra: NDArray[np.complex128]) -> NDArray[np.float64]:
    return np.asarray(np.square(np.abs(spectra)).sum(axis=0), float)


def _third_octaves_db(power: NDArray[np.float64], hz: NDArray[np.float64]) -> NDArray[np.float64]:
    edge = 10**0.05
    bands = [power[(hz >= f / edge) & (hz < f * edge)].sum() for f in THIRD_OCTAVES_HZ]
    return 10 * np.log10(np.maximum(bands, 1e-30))
