"""Levels and attenuation, broadband, A-weighted and per octave."""

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp.validation import Signal, check_pair, check_signal

DOUBLE = np.dtype(np.float64)
SILENCE_DBFS = -200.0
ONSET_PARTS = 32
ONSET_SHARE = 0.1  # of the power at the end, with which a noise has begun


def level_dbfs(samples: ArrayLike) -> float:
    """RMS level of `samples`, (n,), in dBFS: a full-scale sine is -3 dB, silence -200 dB.

    Full scale is 1.0: divide int16 samples by 32768 first.
    """
    return max(power_to_db(mean_power(check_signal("samples", samples, DOUBLE))), SILENCE_DBFS)


def attenuation_db(before: ArrayLike, after: ArrayLike) -> float:
    """How far the level fell from `before` to `after`, both (n,), in dB, positive when noise falls.

    Report it on what the listener wants gone: in a simulation with speech s at the microphone, `after` is
    e - s. Silence before is 0 dB, there was nothing to attenuate; silence after is 200 dB.
    """
    before, after = check_pair(before, after, DOUBLE)
    return power_reduction_db(mean_power(before), mean_power(after))


def a_weighted_attenuation_db(before: ArrayLike, after: ArrayLike, rate: float) -> float:
    """Attenuation in dB(A): as `attenuation_db`, with both signals, (n,) at `rate` Hz, as heard."""
    f, power_before, power_after = spectra(before, after, rate)
    weight = np.power(10.0, a_weighting_db(f) / 10)
    return power_reduction_db(np.dot(weight, power_before), np.dot(weight, power_after))


def a_weighting_db(frequency: ArrayLike) -> Signal:
    """A-weighting in dB at `frequency` in Hz, any shape, 0 dB at 1 kHz; -200 dB at 0 Hz.

    References
    ----------
    IEC 61672-1:2013, annex E, equations E.6.
    """
    f2 = np.square(np.asarray(frequency, DOUBLE))
    below, low, high, above = np.square([20.598997, 107.65265, 737.86223, 12194.217])
    gain = above * f2 * f2 / ((f2 + below) * np.sqrt((f2 + low) * (f2 + high)) * (f2 + above))
    return np.maximum(20 * np.log10(np.maximum(gain, 1e-10)) + 2.0, SILENCE_DBFS)


def spectra(before: ArrayLike, after: ArrayLike, rate: float) -> tuple[Signal, Signal, Signal]:
    """Frequencies in Hz and the power of both signals there, through a Hann window against leakage."""
    before, after = check_pair(before, after, DOUBLE)
    window = np.hanning(before.size + 2)[1:-1]
    power = [np.square(np.abs(np.fft.rfft(window * part))) for part in (before, after)]
    return np.fft.rfftfreq(before.size, 1 / rate), power[0], power[1]


def mean_power(samples: Signal) -> float:
    """Mean square of `samples`."""
    return float(np.mean(np.square(samples)))


def power_reduction_db(before: float, after: float) -> float:
    """Return how far power fell, in dB: at most 200, and 0 if there was none before."""
    if before <= 0:
        return 0.0
    return power_to_db(before) - power_to_db(max(after, before * 10 ** (SILENCE_DBFS / 10)))


def power_to_db(power: float) -> float:
    """Power in dB; nothing at all is below any silence."""
    return 10 * float(np.log10(power)) if power > 0 else -np.inf


def onset(x: ArrayLike) -> int:
    """The sample at which the noise in a snapshot begins, if there was quiet before it; else 0.

    Parameters
    ----------
    x : (n,) array_like
        Reference microphone.

    Returns
    -------
    int
        0 to 3/4 n: where the first of 32 parts begins that has a tenth of the power of the last quarter.

    Raises
    ------
    ValueError
        If x is empty or not finite.
    """
    x = check_signal("x", x, DOUBLE)
    part = x.size // ONSET_PARTS
    if part == 0:
        return 0
    power = np.square(x[: part * ONSET_PARTS]).reshape(ONSET_PARTS, part).mean(axis=1)
    first, last = np.split(power, [ONSET_PARTS * 3 // 4])
    begun = np.flatnonzero(first >= ONSET_SHARE * last.mean())
    return part * int(begun[0] if begun.size else first.size)
