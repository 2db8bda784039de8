"""Linear prediction over a horizon, for one channel alone: what can be cancelled that is only heard late.

What reaches the listener's ear at sample n has been heard up to sample n - horizon, and the filter has been
adapted up to there: signal *and* weights are late. A pure tone is predictable over any horizon, white noise
over none.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from anc.dsp import validation
from anc.dsp.block_exact import gram, invert_unit_lower, runs, window_columns
from anc.dsp.convex_combination import ConvexCombination
from anc.dsp.nlms import MAX_TAPS, MIN_EPS
from anc.dsp.state import pack, unpack
from anc.dsp.validation import Signal

KIND = "predict"
MEMORY = 4096  # samples over which prediction is compared with no prediction


class Predictor:
    """Adaptive linear predictor over a stream of blocks.

    NLMS adapts w so that w . x_(n-horizon) meets x[n]; the anti-noise for sample n is (w as of sample n -
    horizon) . x_(n-horizon), scaled by how well such anti-noise has done until n - horizon: 1 for a tone, 0
    for white noise, where silence is the best that can be played.

    Parameters
    ----------
    taps : int
        Filter length.
    horizon : int >= 1
        Samples between what is heard and when its anti-noise sounds: buffers, network and converters
        together.
    mu, eps, dtype
        As for `NLMS`.

    References
    ----------
    Haykin, Adaptive Filter Theory, 5th ed., chapter 3 (linear prediction); `ConvexCombination`.
    """

    def __init__(
        self,
        taps: int,
        horizon: int,
        mu: float = 0.1,
        eps: float = 1e-6,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.taps = validation.check_int("taps", taps, 1, MAX_TAPS)
        self.horizon = validation.check_int("horizon", horizon, 1, MAX_TAPS)
        self.mu = validation.check_float("mu", mu, 0.0, 2.0)
        self.eps = validation.check_float("eps", eps, MIN_EPS, np.inf)
        self.dtype = validation.check_precision(dtype)
        self.w: Signal = np.zeros(self.taps, self.dtype)
        self.clear_history()

    def clear_history(self) -> None:
        """Forget past samples and keep the weights: what a gap in the stream asks for."""
        self._past: Signal = np.zeros(self.taps - 1 + self.horizon, self.dtype)
        self._coming: Signal = np.zeros(self.horizon, self.dtype)
        self._shares: Signal = np.zeros(self.horizon, self.dtype)
        self._mixing = ConvexCombination(MEMORY)

    def process(self, x: ArrayLike) -> tuple[Signal, Signal]:
        """Predict, subtract and adapt over one block of any length.

        Parameters
        ----------
        x : (n,) array_like, n >= 1
            The noise at the ear.

        Returns
        -------
        y, e : (n,) ndarray of `dtype`
            y[n], decided at sample n - horizon, and what it leaves, e = x - y.

        Raises
        ------
        ValueError
            If the block is empty, of the wrong shape, or not finite; the predictor is then as it was.
        """
        x = validation.check_signal("x", x, self.dtype)
        n = x.size
        stream = np.concatenate([self._past, x])
        w, made = self.w[::-1].copy(), np.empty_like(x)
        for start, stop, size in runs(n, self.dtype):
            heard = stream[start + self.horizon : stop + self.horizon + self.taps - 1]
            late = stream[start : stop + self.taps - 1]
            self._adapt(w, late, heard, x[start:stop].reshape(-1, size), made[start:stop].reshape(-1, size))
        # `made` at sample n sounds at sample n + horizon.
        predictions = np.concatenate([self._coming, made])
        shares = np.concatenate([self._shares, self._mixing.share(x - predictions[:n], x).astype(x.dtype)])
        y = shares[:n] * predictions[:n]
        self.w, self._past, self._coming, self._shares = (
            w[::-1].copy(),
            stream[n:],
            predictions[n:],
            shares[n:],
        )
        return y, x - y

    def _adapt(self, w: Signal, late: Signal, heard: Signal, x: Signal, made: Signal) -> None:
        """Move `w`, reversed, and write predictions `made` with the weights as each sample leaves them."""
        size = x.shape[1]
        G = gram(late, late, self.taps, size)
        mu_n = self.mu / (self.eps + np.diagonal(G, axis1=1, axis2=2))
        solved = invert_unit_lower(np.multiply(G, mu_n[:, None], order="C"))
        reach = np.tril(gram(heard, late, self.taps, size)) * mu_n[:, None]
        X, H = (window_columns(part, self.taps, size) for part in (late, heard))
        for c, (X_c, H_c) in enumerate(zip(X, H, strict=True)):
            e = np.dot(solved[c], x[c] - np.dot(w, X_c))
            made[c] = np.dot(w, H_c) + np.dot(reach[c], e)
            w += np.dot(X_c, mu_n[c] * e)

    def state(self) -> bytes:
        """Everything the predictor knows, as bytes: `from_state` continues bit for bit."""
        vectors = (self.w, self._past, self._coming, self._shares, self._mixing.sums)
        return pack(KIND, (self.taps, self.horizon, self.mu, self.eps), vectors)

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """The predictor that `state` was taken from; ValueError if the bytes are damaged or another's."""
        (taps, horizon, mu, eps), (w, past, coming, shares, sums) = unpack(KIND, state)
        f = cls(int(taps), int(horizon), mu, eps, w.dtype)
        f.w, f._past, f._coming, f._shares, f._mixing.sums = w, past, coming, shares, sums
        return f
