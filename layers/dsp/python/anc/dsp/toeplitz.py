"""Solve many symmetric Toeplitz systems at once: Levinson recursion and Gohberg-Semencul inverse by FFT."""

import numpy as np

from anc.dsp.validation import Signal


def toeplitz_solve(r: Signal, p: Signal) -> Signal:
    """Return the solutions w of toeplitz(r) w = p, (systems, n) float64, for positive definite matrices.

    Levinson's recursion gives the predictor a with R a = (E, 0, ... 0), and Gohberg and Semencul's formula
    the inverse R^-1 = (L(a) L(a)^T - L(b) L(b)^T) / E from it, with L(.) lower triangular Toeplitz and b =
    (0, a[n-1], ... a[1]). One step of iterative refinement reduces the rounding error.

    Parameters
    ----------
    r : (systems, n) float64
        First columns of the matrices.
    p : (systems, n) float64
        Right-hand sides.

    References
    ----------
    Golub & Van Loan, Matrix Computations, 4th ed., section 4.7; Gohberg & Semencul, Mat. Issled. 7(2), 1972.

    Examples
    --------
    >>> toeplitz_solve(np.array([[2.0, 1.0]]), np.array([[3.0, 3.0]])).round(6).tolist()
    [[1.0, 1.0]]
    """
    n = r.shape[1]
    a, error = prediction_error_filter(r)
    b = np.zeros_like(a)
    b[:, 1:] = a[:, :0:-1]
    A, B = np.fft.rfft(a, 2 * n), np.fft.rfft(b, 2 * n)

    def inverse_times(p: Signal) -> Signal:
        P = np.fft.rfft(p, 2 * n)
        parts = [H * np.fft.rfft(np.fft.irfft(H.conj() * P)[:, :n], 2 * n) for H in (A, B)]
        return np.fft.irfft(parts[0] - parts[1])[:, :n] / error[:, None]

    w = inverse_times(p)
    return w + inverse_times(p - toeplitz_times(r, w))


def toeplitz_times(r: Signal, w: Signal) -> Signal:
    """Return the products toeplitz(r) w, (..., n), by FFT."""
    n = r.shape[-1]
    circulant = np.concatenate([r, np.zeros_like(r[..., :1]), r[..., :0:-1]], axis=-1)
    return np.fft.irfft(np.fft.rfft(circulant) * np.fft.rfft(w, 2 * n))[..., :n]


def prediction_error_filter(r: Signal) -> tuple[Signal, Signal]:
    """Return prediction-error filters a, (systems, n) with a[0] = 1, and their error power, (systems,)."""
    systems, n = r.shape
    reversed_r = r[:, ::-1].copy()
    a = np.zeros((systems, n))
    a[:, 0] = 1
    error = r[:, 0].copy()
    for k in range(1, n):
        reflection = np.vecdot(reversed_r[:, n - k - 1 : n - 1], a[:, :k]) / error
        error = error - reflection * reflection * error
        a[:, : k + 1] -= reflection[:, None] * a[:, k::-1]
    return a, error
