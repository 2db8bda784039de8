"""The best fixed filter and its attenuation, from the true signals: an upper bound for evaluation."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

TAPS = 512
RIDGE = 1e-9  # regularisation relative to the filtered reference's power, far below microphone noise


def best_fixed_filter_db(
    x: ArrayLike, d: ArrayLike, secondary: ArrayLike, span: slice, taps: int = TAPS
) -> float:
    """Return the attenuation in dB of the best fixed filter; see `best_fixed_filter_residual`."""
    target = np.asarray(d, float)[span]
    residual = best_fixed_filter_residual(x, d, secondary, span, taps)
    return float(10 * np.log10(np.vdot(target, target) / np.vdot(residual, residual)))


def best_fixed_filter_residual(
    x: ArrayLike, d: ArrayLike, secondary: ArrayLike, span: slice, taps: int = TAPS
) -> NDArray[np.float64]:
    """Return the residual over a span of `best_fixed_filter`, (samples of the span,); parameters as there."""
    first, last, _ = span.indices(np.size(x))
    w = best_fixed_filter(x, d, secondary, span, taps)
    heard = _filtered_reference(x, secondary, taps)[first + 1 : last + taps]
    return np.asarray(np.asarray(d, float)[span] - np.convolve(heard, w, "valid"))


def best_fixed_filter(
    x: ArrayLike, d: ArrayLike, secondary: ArrayLike, span: slice, taps: int = TAPS
) -> NDArray[np.float64]:
    """Return the causal filter that leaves the least energy in a span, (taps,).

    Least squares over exactly the samples of the span (the covariance method). The matrix follows from its
    first row, since R[i+1, j+1] and R[i, j] differ only by the products at the ends of the span.

    Parameters
    ----------
    x, d : (n,) array_like
        Reference, and noise at the ear without control. Samples before the span fill the filter's memory.
    secondary : (m,) array_like
        True secondary path.
    span : slice
        Samples to fit and to evaluate.
    taps : int
        Filter length.

    References
    ----------
    Makhoul, "Linear prediction: a tutorial review", 1975, section II.
    """
    first, last, _ = span.indices(np.size(x))
    v = _filtered_reference(x, secondary, taps)
    first, last = first + taps, last + taps
    target = np.asarray(d, float)[span]
    padded = v[first - taps + 1 : last]
    size = 1 << (padded.size + target.size).bit_length()
    spectrum = np.fft.rfft(padded[::-1], size)

    def correlate(signal: np.ndarray) -> np.ndarray:
        # Sum of signal[n] v[n - k] over the span, for k = 0 .. taps - 1.
        return np.fft.irfft(np.fft.rfft(signal, size) * spectrum, size)[signal.size - 1 :][:taps]

    matrix = np.zeros((taps, taps))
    matrix[0] = correlate(v[first:last])
    entering, leaving = v[first - taps : first][::-1], v[last - taps : last][::-1]
    for i in range(taps - 1):
        matrix[i + 1, i + 1 :] = matrix[i, i:-1] + entering[i] * entering[i:-1] - leaving[i] * leaving[i:-1]
    matrix += np.triu(matrix, 1).T
    matrix.flat[:: taps + 1] += RIDGE * matrix[0, 0]
    return np.linalg.solve(matrix, correlate(target))


def _filtered_reference(x: ArrayLike, secondary: ArrayLike, taps: int) -> NDArray[np.float64]:
    """Return S * x after `taps` zeros."""
    return np.concatenate([np.zeros(taps), np.convolve(np.asarray(x, float), np.asarray(secondary, float))])
