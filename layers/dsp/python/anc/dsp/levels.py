"""Levels and attenuation, broadband and A-weighted."""

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp.validation import Signal, check_pair, check_signal

DOUBLE = np.dtype(np.float64)
SILENCE_DBFS = -200.0
ONSET_PARTS = 32
ONSET_THRESHOLD = 0.1  # relative to the power at the end


def level_dbfs(samples: ArrayLike) -> float:
    """Return the RMS level of `samples`, (n,), in dBFS: -3 for a full-scale sine, -200 for silence.

    Full scale is 1.0; divide int16 samples by 32768 first.

    >>> float(round(level_dbfs([0.1, -0.1]), 1))
    -20.0
    """
    return max(power_to_db(mean_power(check_signal("samples", samples, DOUBLE))), SILENCE_DBFS)


def attenuation_db(before: ArrayLike, after: ArrayLike) -> float:
    """Return how far the level fell from `before` to `after`, both (n,), in dB, positive when noise falls.

    In a simulation with speech s at the microphone, pass e - s as `after` to measure the noise alone. Silence
    before gives 0 dB, silence after 200 dB.

    >>> float(round(attenuation_db([1.0, -1.0], [0.1, -0.1]), 1))
    20.0
    """
    before, after = check_pair(before, after, DOUBLE)
    return power_reduction_db(mean_power(before), mean_power(after))


def a_weighted_attenuation_db(before: ArrayLike, after: ArrayLike, rate: float) -> float:
    """Return the A-weighted `attenuation_db`, in dB, of signals, (n,), sampled at `rate` Hz.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    >>> float(round(a_weighted_attenuation_db(tone, 0.1 * tone, 16_000), 1))
    20.0
    """
    f, power_before, power_after = power_spectra(before, after, rate)
    weight = np.power(10.0, a_weighting_db(f) / 10)
    return power_reduction_db(np.dot(weight, power_before), np.dot(weight, power_after))


def a_weighting_db(frequency: ArrayLike) -> Signal:
    """Return the A-weighting in dB at `frequency` in Hz, any shape: 0 at 1 kHz, -200 at 0 Hz.

    References
    ----------
    IEC 61672-1:2013, annex E, equations E.6.

    Examples
    --------
    >>> a_weighting_db([100.0, 1000.0]).round(1).tolist()
    [-19.1, 0.0]
    """
    f2 = np.square(np.asarray(frequency, DOUBLE))
    below, low, high, above = np.square([20.598997, 107.65265, 737.86223, 12194.217])
    gain = above * f2 * f2 / ((f2 + below) * np.sqrt((f2 + low) * (f2 + high)) * (f2 + above))
    return np.maximum(20 * np.log10(np.maximum(gain, 1e-10)) + 2.0, SILENCE_DBFS)


def power_spectra(before: ArrayLike, after: ArrayLike, rate: float) -> tuple[Signal, Signal, Signal]:
    """Return frequencies in Hz and the power spectra of both signals, with a Hann window."""
    before, after = check_pair(before, after, DOUBLE)
    window = np.hanning(before.size + 2)[1:-1]
    power = [np.square(np.abs(np.fft.rfft(window * part))) for part in (before, after)]
    return np.fft.rfftfreq(before.size, 1 / rate), power[0], power[1]


def mean_power(samples: Signal) -> float:
    """Return the mean square of `samples`."""
    return float(np.mean(np.square(samples)))


def power_reduction_db(before: float, after: float) -> float:
    """Return how far power fell, in dB: at most 200, and 0 if there was none before."""
    if before <= 0:
        return 0.0
    return power_to_db(before) - power_to_db(max(after, before * 10 ** (SILENCE_DBFS / 10)))


def power_to_db(power: float) -> float:
    """Return power in dB, -inf for 0."""
    return 10 * float(np.log10(power)) if power > 0 else -np.inf


def onset(x: ArrayLike) -> int:
    """Return the index of the sample at which the noise in a snapshot begins after quiet, else 0.

    Parameters
    ----------
    x : (n,) array_like
        Reference microphone.

    Returns
    -------
    int
        0 to 3/4 n: the start of the first of 32 parts with a tenth of the power of the last quarter.

    Raises
    ------
    ValueError
        If x is empty or not finite.

    Examples
    --------
    >>> onset(np.concatenate([np.zeros(160), np.ones(160)]))
    160
    """
    x = check_signal("x", x, DOUBLE)
    part = x.size // ONSET_PARTS
    if part == 0:
        return 0
    power = np.square(x[: part * ONSET_PARTS]).reshape(ONSET_PARTS, part).mean(axis=1)
    first, last = np.split(power, [ONSET_PARTS * 3 // 4])
    above = np.flatnonzero(first >= ONSET_THRESHOLD * last.mean())
    return part * int(above[0] if above.size else first.size)
