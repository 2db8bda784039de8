"""Control filters for several reference microphones: together they hear noise that one of them misses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import validation
from anc.dsp.block_exact import view
from anc.dsp.convolution import fft_filter
from anc.dsp.statistics import DOUBLE, high_pass_power, tukey
from anc.dsp.validation import Signal

REGULARISATION = (1e-5, 1e-3, 1e-1, 10.0)  # candidates, as shares of the filtered references' power


@dataclass(frozen=True)
class MultiReferenceFilter:
    """Designed control filters, one for each reference; y is the sum of their outputs.

    Attributes
    ----------
    taps : (references, taps) float32 ndarray
        Weights; the first of each row multiplies the newest sample.
    predicted_gain_db : float
        Attenuation to expect, in dB, judged on sound that the judged filters were not made from.
    """

    taps: Signal
    predicted_gain_db: float


def design_multireference(
    x: ArrayLike, d: ArrayLike, secondary: ArrayLike, taps: int = 256, *, rate: float = 16_000
) -> MultiReferenceFilter:
    """The optimal causal control filters for one snapshot of several references.

    The normal equations are block Toeplitz, references * taps of them, and are solved densely: half a second
    for two references of 256 taps.

    Parameters
    ----------
    x : (references, n) array_like
        Reference microphones.
    d : (n,) array_like, n >= 2 * taps + 2
        Noise at the error microphone without control.
    secondary : (m,) array_like
        Model S of the path from driver to error microphone, an impulse response.
    taps : int
        Length of each filter.
    rate : float
        Hz, of the signals.

    Raises
    ------
    ValueError
        If the signals are unequal, not finite or too short.

    References
    ----------
    Elliott, Signal Processing for Active Control, 2001, section 5.2.
    """
    S = validation.signal("secondary", secondary, DOUBLE)
    channels = [validation.pair(channel, d, DOUBLE)[0] for channel in np.atleast_2d(np.asarray(x))]
    d = validation.signal("d", d, DOUBLE)
    taps = validation.check_int("taps", taps, 1, (d.size - 1) // 2)
    v = np.array([fft_filter(S, channel) for channel in channels])
    half = d.size // 2
    parts = [normal_equations(v[:, at : at + half], d[at : at + half], taps, rate) for at in (0, half)]
    left = np.zeros(len(REGULARISATION))
    for (R, p, _), (R_test, p_test, energy) in zip(parts, parts[::-1], strict=True):
        for k, share in enumerate(REGULARISATION):
            w = solve(R, p, share)
            left[k] += energy - 2 * w @ p_test + w @ R_test @ w
    best = int(np.argmin(left))
    w = solve(parts[0][0] + parts[1][0], parts[0][1] + parts[1][1], REGULARISATION[best])
    energy = parts[0][2] + parts[1][2]
    gain = -10 * np.log10(max(left[best] / energy, 1e-12)) if energy > 0 else 0.0
    return MultiReferenceFilter(w.reshape(-1, taps).astype(np.float32), float(gain))


def normal_equations(v: Signal, d: Signal, taps: int, rate: float) -> tuple[Signal, Signal, float]:
    """R, square, and p, of references * taps entries, and the energy of d, all high-passed at 60 Hz."""
    size = 1 << (2 * d.size - 1).bit_length()
    weight = high_pass_power(np.fft.rfftfreq(size, 1 / rate))
    window = tukey(d.size)
    V, D = np.fft.rfft(window * v, size), np.fft.rfft(window * d, size)
    p = np.fft.irfft(weight * D * V.conj())[:, :taps]
    energy = float(np.fft.irfft(weight * np.square(np.abs(D)))[0])
    # Entry [i, j] of a pair's block is the correlation at lag j - i: negative lags are at the end.
    lags = np.fft.irfft(weight * V.conj()[:, None] * V)
    around = np.concatenate([lags[..., size - taps + 1 :], lags[..., :taps]], axis=-1)
    blocks = [[view(pair.copy(), taps - 1, (taps, taps), (1, -1)) for pair in row] for row in around]
    return np.block(blocks), p.ravel(), energy


def solve(R: Signal, p: Signal, share: float) -> Signal:
    """Weights (references * taps,) for the given regularisation; zeros in silence."""
    power = np.trace(R) / len(R)
    return np.linalg.solve(R + (share * power if power > 0 else 1.0) * np.eye(len(R)), p)
