"""What the best fixed filter would have given, once everything is known: the yardstick, never the product."""

import numpy as np
from numpy.typing import ArrayLike

TAPS = 512
RIDGE = 1e-9  # of the filtered reference's power, against rounding; far below any microphone's noise


def best_fixed_filter_db(
    x: ArrayLike, d: ArrayLike, secondary: ArrayLike, span: slice, taps: int = TAPS
) -> float:
    """Return the attenuation in dB of the causal filter that is best for a span, judged on that very span.

    Least squares over exactly the samples of the span (the covariance method). Its matrix follows from
    its first row, since R[i+1, j+1] differs from R[i, j] only by the products that enter and leave at the
    span's ends.

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

    References
    ----------
    Makhoul, "Linear prediction: a tutorial review", 1975, section II.
    """
    first, last, _ = span.indices(np.size(x))
    v = np.concatenate([np.zeros(taps), np.convolve(np.asarray(x, float), np.asarray(secondary, float))])
    first, last = first + taps, last + taps
    wanted = np.asarray(d, float)[span]
    remembered = v[first - taps + 1 : last]
    size = 1 << (remembered.size + wanted.size).bit_length()
    spectrum = np.fft.rfft(remembered[::-1], size)

    def correlate(signal: np.ndarray) -> np.ndarray:
        # Over the span, the sum of signal[n] v[n - k] for k = 0 .. taps - 1.
        return np.fft.irfft(np.fft.rfft(signal, size) * spectrum, size)[signal.size - 1 :][:taps]

    matrix = np.zeros((taps, taps))
    matrix[0] = correlate(v[first:last])
    entering, leaving = v[first - taps : first][::-1], v[last - taps : last][::-1]
    for i in range(taps - 1):
        matrix[i + 1, i + 1 :] = matrix[i, i:-1] + entering[i] * entering[i:-1] - leaving[i] * leaving[i:-1]
    matrix += np.triu(matrix, 1).T
    matrix.flat[:: taps + 1] += RIDGE * matrix[0, 0]
    w = np.linalg.solve(matrix, correlate(wanted))
    residual = wanted - np.convolve(remembered, w, "valid")
    return float(10 * np.log10(np.vdot(wanted, wanted) / np.vdot(residual, residual)))
