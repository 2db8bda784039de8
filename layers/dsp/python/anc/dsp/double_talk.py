"""NLMS with double-talk control: speech in d does not disturb the filter.

Speech in d is uncorrelated with x, yet every update follows it, the more so the larger the step, and the
disturbed filter adds noise. Here a fast and a slow filter run side by side. The output follows the one with
the smaller recent residual: the fast one while the path changes, the slow one while there is speech.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from anc.dsp import validation
from anc.dsp.convex_combination import ConvexCombination
from anc.dsp.nlms import NLMS
from anc.dsp.state import pack, unpack
from anc.dsp.validation import Signal

KIND = "talk"
# Samples over which residuals are compared; a much shorter memory mistakes speech for a path change.
MEMORY = 512


class DoubleTalkNLMS:
    """Normalised LMS for a primary signal that also contains speech: a fast and a slow filter, combined.

    Use it in place of `NLMS` for live sessions and recordings in which a talker is close to the error
    microphone. It costs twice as much. The platform's services do not use it yet.

    Parameters
    ----------
    taps : int
        Filter length.
    mu : (float, float), each 0 to 2
        Step sizes of the fast and of the slow filter.
    eps, dtype
        As for `NLMS`.

    References
    ----------
    As for `ConvexCombination`.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(4000)
    >>> y, e = DoubleTalkNLMS(taps=8).process(x, 0.5 * x)
    >>> bool(np.abs(e[-100:]).max() < 1e-3)
    True
    """

    def __init__(
        self,
        taps: int,
        mu: tuple[float, float] = (0.5, 0.02),
        eps: float = 1e-6,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.fast, self.slow = (NLMS(taps, step, eps, dtype) for step in mu)
        self._combination = ConvexCombination(MEMORY)

    @property
    def w(self) -> Signal:
        """Weights of the combined filter, (taps,)."""
        energy = self._combination.sums
        weight = self.fast.dtype.type(np.clip(energy[0] / energy[1], 0, 1) if energy[1] > 0 else 0)
        return weight * self.fast.w + (1 - weight) * self.slow.w

    def clear_history(self) -> None:
        """Set past samples to zero and keep the weights, as after a gap in the stream."""
        self.fast.clear_history()
        self.slow.clear_history()

    def process(self, x: ArrayLike, d: ArrayLike) -> tuple[Signal, Signal]:
        """Filter and adapt over one block of any length, as `NLMS.process`."""
        x, d = validation.check_pair(x, d, self.fast.dtype)
        (_, fast), (_, slow) = self.fast.process(x, d), self.slow.process(x, d)
        weight = self._combination.weight(fast, slow).astype(d.dtype)
        e = weight * fast + (1 - weight) * slow
        return d - e, e

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues bit for bit."""
        both = (np.frombuffer(one.state(), np.uint8) for one in (self.fast, self.slow))
        return pack(KIND, (), [self._combination.sums, *both])

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Restore a filter from `state()`. Raises ValueError for damaged bytes or another kind of filter."""
        _, (sums, fast, slow) = unpack(KIND, state)
        f = cls(1)
        f.fast, f.slow = NLMS.from_state(fast.tobytes()), NLMS.from_state(slow.tobytes())
        f._combination.sums = sums
        return f
