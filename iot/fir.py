"""A finite impulse response that goes on from block to block."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signal: TypeAlias = NDArray[np.floating[Any]]


class Fir:
    """Filters a stream with an impulse response, which may become another one.

    Parameters
    ----------
    h : (taps,) array_like
        The impulse response; h[0] multiplies the newest sample.
    """

    def __init__(self, h: ArrayLike) -> None:
        self._h = np.asarray(h, np.float32)
        self._past = np.zeros(self._h.size - 1, np.float32)
        self._before = self._h
        self._fade = self._faded = 0

    def become(self, h: ArrayLike, over: int) -> None:
        """Change to another response of the same length, evenly over so many samples from the next one on."""
        mixed = self._faded / self._fade if self._fade else 1.0
        self._before = (1 - mixed) * self._before + mixed * self._h
        self._h = np.asarray(h, np.float32)
        self._fade, self._faded = over, 0

    def process(self, x: Signal) -> Signal:
        """Return h * x, as many samples as came; any block length gives the same stream."""
        heard = np.concatenate([self._past, x])
        self._past = heard[heard.size - self._past.size :]
        y = np.convolve(heard, self._h, "valid")
        if self._faded == self._fade:
            return y
        rise = np.minimum(np.arange(self._faded + 1, self._faded + x.size + 1) / self._fade, 1.0)
        self._faded = min(self._faded + x.size, self._fade)
        rise = rise.astype(np.float32)
        return rise * y + (1 - rise) * np.convolve(heard, self._before, "valid")
