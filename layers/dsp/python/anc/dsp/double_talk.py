"""NLMS that speech in d does not lead astray.

Speech is no part of what x explains, yet every update follows it, and the more so the larger the step: the
filter wobbles after the speech and puts noise back. So one filter runs fast and one runs slow, and the output
follows whichever has lately left less: the fast one while the path changes, the slow one while someone
speaks.
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
# Samples over which the two are compared; much shorter mistakes speech for a change of the path.
MEMORY = 512


class DoubleTalkNLMS:
    """Step-controlled normalised LMS: a fast and a slow filter, mixed by their recent residuals.

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
    """

    def __init__(
        self,
        taps: int,
        mu: tuple[float, float] = (0.5, 0.02),
        eps: float = 1e-6,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.fast, self.slow = (NLMS(taps, step, eps, dtype) for step in mu)
        self._mixing = ConvexCombination(MEMORY)

    @property
    def w(self) -> Signal:
        """Weights of the filter that the output last followed, (taps,)."""
        energy = self._mixing.sums
        share = self.fast.dtype.type(np.clip(energy[0] / energy[1], 0, 1) if energy[1] > 0 else 0)
        return share * self.fast.w + (1 - share) * self.slow.w

    def clear_history(self) -> None:
        """Forget past samples and keep the weights: what a gap in the stream asks for."""
        self.fast.clear_history()
        self.slow.clear_history()

    def process(self, x: ArrayLike, d: ArrayLike) -> tuple[Signal, Signal]:
        """Filter and adapt over one block of any length, as `NLMS.process`."""
        x, d = validation.check_pair(x, d, self.fast.dtype)
        (_, fast), (_, slow) = self.fast.process(x, d), self.slow.process(x, d)
        share = self._mixing.share(fast, slow).astype(d.dtype)
        e = share * fast + (1 - share) * slow
        return d - e, e

    def state(self) -> bytes:
        """Everything the filter knows, as bytes: `from_state` continues bit for bit."""
        both = (np.frombuffer(one.state(), np.uint8) for one in (self.fast, self.slow))
        return pack(KIND, (), [self._mixing.sums, *both])

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """The filter that `state` was taken from; ValueError if the bytes are damaged or not of this kind."""
        _, (sums, fast, slow) = unpack(KIND, state)
        f = cls(1)
        f.fast, f.slow = NLMS.from_state(fast.tobytes()), NLMS.from_state(slow.tobytes())
        f._mixing.sums = sums
        return f
