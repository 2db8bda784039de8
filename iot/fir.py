"""A finite impulse response that goes on from block to block."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signal: TypeAlias = NDArray[np.floating[Any]]


class Fir:
    """Filters a stream with a fixed impulse response.

    Parameters
    ----------
    h : (taps,) array_like
        The impulse response; h[0] multiplies the newest sample.
    """

    def __init__(self, h: ArrayLike) -> None:
        self._h = np.asarray(h, np.float32)
        self._past = np.zeros(self._h.size - 1, np.float32)

    def process(self, x: Signal) -> Signal:
        """Return h * x, as many samples as came; any block length gives the same stream."""
        heard = np.concatenate([self._past, x])
        self._past = heard[heard.size - self._past.size :]
        return np.convolve(heard, self._h, "valid")
