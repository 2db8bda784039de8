"""An FIR filter that keeps its state from block to block."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signal: TypeAlias = NDArray[np.floating[Any]]


class Fir:
    """Filter a stream with an impulse response that can be changed by a cross-fade.

    Parameters
    ----------
    h : (taps,) array_like
        Impulse response, tap 0 first.
    """

    def __init__(self, h: ArrayLike) -> None:
        self._h = np.asarray(h, np.float32)
        self._history = np.zeros(self._h.size - 1, np.float32)
        self._previous = self._h
        self._fade = self._faded = 0

    def fade_to(self, h: ArrayLike, samples: int) -> None:
        """Change linearly to another response of the same length, over so many samples from the next one."""
        weight = self._faded / self._fade if self._fade else 1.0
        self._previous = (1 - weight) * self._previous + weight * self._h
        self._h = np.asarray(h, np.float32)
        self._fade, self._faded = samples, 0

    def process(self, x: Signal) -> Signal:
        """Return h * x, (n,). The block length does not change the stream."""
        padded = np.concatenate([self._history, x])
        self._history = padded[padded.size - self._history.size :]
        y = np.convolve(padded, self._h, "valid")
        if self._faded == self._fade:
            return y
        rise = np.minimum(np.arange(self._faded + 1, self._faded + x.size + 1) / self._fade, 1.0)
        self._faded = min(self._faded + x.size, self._fade)
        rise = rise.astype(np.float32)
        return rise * y + (1 - rise) * np.convolve(padded, self._previous, "valid")
