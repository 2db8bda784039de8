"""FIR filtering by FFT."""

import numpy as np

from anc.dsp.validation import Signal


def fft_filter(h: Signal, x: Signal) -> Signal:
    """Return the first n samples of h * x: x filtered from rest, in O((n + m) log(n + m)).

    Parameters
    ----------
    h : (m,) ndarray
        Impulse response, tap 0 first.
    x : (n,) ndarray

    Returns
    -------
    (n,) ndarray

    Examples
    --------
    >>> np.round(fft_filter(np.array([1.0, 0.5]), np.array([1.0, 0.0, 2.0])), 6).tolist()
    [1.0, 0.5, 2.0]
    """
    size = 1 << (x.size + h.size - 2).bit_length()
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(h, size), size)[: x.size]
