"""Linear prediction over a horizon, for a single channel: cancellation in spite of a known latency.

The anti-noise for sample n may depend on samples up to n - horizon only, and so may the weights that compute
it. A pure tone is predictable over any horizon, white noise over none.
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
MEMORY = 4096  # samples over which prediction is compared with no anti-noise


class Predictor:
    """Adaptive linear predictor over a stream of blocks.

    NLMS adapts w so that w . x_(n-horizon) approximates x[n]. The anti-noise for sample n is (w at sample n -
    horizon) . x_(n-horizon), scaled by a weight of 0 to 1 that minimises the residual energy until n -
    horizon: about 1 for a tone, 0 for white noise.

    Parameters
    ----------
    taps : int
        Filter length.
    horizon : int >= 1
        Samples between a sound at the microphone and its anti-noise at the ear: buffers, network and
        converters together.
    mu, eps, dtype
        As for `NLMS`.

    References
    ----------
    Haykin, Adaptive Filter Theory, 5th ed., chapter 3 (linear prediction); `ConvexCombination`.

    Examples
    --------
    >>> tone = np.sin(0.1 * np.arange(8000))
    >>> y, e = Predictor(taps=32, horizon=100).process(tone)
    >>> bool(np.abs(e[-100:]).max() < 0.01)
    True
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
        """Set past samples to zero and keep the weights, as after a gap in the stream."""
        self._past: Signal = np.zeros(self.taps - 1 + self.horizon, self.dtype)
        self._pending: Signal = np.zeros(self.horizon, self.dtype)
        self._gains: Signal = np.zeros(self.horizon, self.dtype)
        self._combination = ConvexCombination(MEMORY)

    def process(self, x: ArrayLike) -> tuple[Signal, Signal]:
        """Predict, subtract and adapt over one block of any length.

        Parameters
        ----------
        x : (n,) array_like, n >= 1
            Noise at the ear.

        Returns
        -------
        y, e : (n,) ndarray of `dtype`
            Anti-noise y, where y[n] depends on samples up to n - horizon, and residual e = x - y.

        Raises
        ------
        ValueError
            If the block is empty, of the wrong shape, or not finite. The predictor is unchanged.
        """
        x = validation.check_signal("x", x, self.dtype)
        n = x.size
        stream = np.concatenate([self._past, x])
        w, made = self.w[::-1].copy(), np.empty_like(x)
        for start, stop, size in runs(n, self.dtype):
            recent = stream[start + self.horizon : stop + self.horizon + self.taps - 1]
            delayed = stream[start : stop + self.taps - 1]
            self._adapt(
                w, delayed, recent, x[start:stop].reshape(-1, size), made[start:stop].reshape(-1, size)
            )
        # The prediction made at sample n is played at sample n + horizon.
        predictions = np.concatenate([self._pending, made])
        weights = self._combination.weight(x - predictions[:n], x).astype(x.dtype)
        gains = np.concatenate([self._gains, weights])
        y = gains[:n] * predictions[:n]
        self.w, self._past, self._pending, self._gains = (
            w[::-1].copy(),
            stream[n:],
            predictions[n:],
            gains[n:],
        )
        return y, x - y

    def _adapt(self, w: Signal, delayed: Signal, recent: Signal, x: Signal, made: Signal) -> None:
        """Update `w`, reversed, in place and write predictions `made` with the weights after each sample."""
        size = x.shape[1]
        G = gram(delayed, delayed, self.taps, size)
        mu_n = self.mu / (self.eps + np.diagonal(G, axis1=1, axis2=2))
        solved = invert_unit_lower(np.multiply(G, mu_n[:, None], order="C"))
        reach = np.tril(gram(recent, delayed, self.taps, size)) * mu_n[:, None]
        X, H = (window_columns(part, self.taps, size) for part in (delayed, recent))
        for c, (X_c, H_c) in enumerate(zip(X, H, strict=True)):
            e = np.dot(solved[c], x[c] - np.dot(w, X_c))
            made[c] = np.dot(w, H_c) + np.dot(reach[c], e)
            w += np.dot(X_c, mu_n[c] * e)

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues bit for bit."""
        vectors = (self.w, self._past, self._pending, self._gains, self._combination.sums)
        return pack(KIND, (self.taps, self.horizon, self.mu, self.eps), vectors)

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Restore a predictor from `state()`. Raises ValueError for damaged bytes or another kind."""
        (taps, horizon, mu, eps), (w, past, pending, gains, sums) = unpack(KIND, state)
        f = cls(int(taps), int(horizon), mu, eps, w.dtype)
        f.w, f._past, f._pending, f._gains, f._combination.sums = w, past, pending, gains, sums
        return f
