"""What the best fixed filter would have given, once everything is known: the yardstick, never the product."""

import numpy as np
from numpy.typing import ArrayLike

TAPS = 512
RIDGE = 1e-8  # of the filtered reference's power: only against rounding


def best_fixed_filter_db(
    x: ArrayLike, d: ArrayLike, secondary: ArrayLike, span: slice, taps: int = TAPS
) -> float:
    """Return the attenuation in dB of the causal filter that is best for a span, judged on that very span.

    Parameters
    ----------
    x, d : (n,) array_like
        Reference, and noise at the ear without control. The filter remembers what lies before the span.
    secondary : (m,) array_like
        The true secondary path.
    span : slice
        Of samples to fit and to judge.
    taps : int
        Length of the filter.
    """
    v = np.convolve(np.asarray(x, float), np.asarray(secondary, float))[: np.size(x)]
    wanted = np.asarray(d, float)[span]
    heard = v[span]
    size = 1 << (2 * wanted.size - 1).bit_length()
    filtered, ear = np.fft.rfft(heard, size), np.fft.rfft(wanted, size)
    r = np.fft.irfft(np.square(np.abs(filtered)))[:taps]
    p = np.fft.irfft(ear * filtered.conj())[:taps]
    matrix = r[np.abs(np.subtract.outer(np.arange(taps), np.arange(taps)))]
    matrix.flat[:: taps + 1] += RIDGE * r[0]
    w = np.linalg.solve(matrix, p)
    residual = wanted - np.convolve(v, w)[: v.size][span]
    return float(10 * np.log10(np.vdot(wanted, wanted) / np.vdot(residual, residual)))
