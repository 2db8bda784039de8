"""Normalised LMS over blocks, equal to the sample-by-sample recursion to rounding.

The compiled kernel runs the recursion itself. Without it numpy processes a block at a time, and exactly:
the weights change at every sample, yet the a-priori errors of a block solve one triangular system. With X the
rows x_n of the block, G = X X^T and mu_n = mu / (eps + x_n . x_n)::

    (I + strict_lower(G) diag(mu_n)) e = d - X w        then        w <- w + X^T (mu_n e)

Reference: Benesty & Duhamel, "A fast exact least mean square adaptive algorithm", IEEE Trans. Signal
Processing 40(12), 1992.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from anc.dsp import kernel, validation
from anc.dsp.block_exact import gram, invert_unit_lower, runs, window_columns
from anc.dsp.state import pack, unpack
from anc.dsp.validation import Signal

KIND = "nlms"
MAX_TAPS = 1 << 16
MIN_EPS = 1e-37  # representable in float32
MAX_LEAK = 0.01  # weights decay by less than a third over 32 samples, which float32 tolerates


class NLMS:
    """Normalised least mean squares filter over a stream of blocks.

    Parameters
    ----------
    taps : int
        Filter length L.
    mu : float, 0 <= mu <= 2
        Step size; 1 converges fastest, 0 does not adapt.
    eps : float > 0
        Regularisation, in the units of x_n . x_n: power times taps.
    dtype : float32 or float64
        Of weights, history, outputs and arithmetic.
    leak : float, 0 <= leak < 0.01
        Fraction of the weights lost at each update. Weights that x no longer excites decay; attenuation is
        slightly lower.
    gate : float >= 0
        Mean power of x over the window below which the weights do not adapt, so that pauses with only
        microphone noise do not disturb them.

    Attributes
    ----------
    w : (taps,) ndarray
        Weights, tap 0 first.
    mu : float
        Step size; may be changed between blocks.

    References
    ----------
    Haykin, Adaptive Filter Theory, 5th ed., section 6.1; `nlms_reference` is the same, sample by sample.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(2000)
    >>> d = 0.5 * x - 0.2 * np.concatenate([[0.0], x[:-1]])
    >>> f = NLMS(taps=2)
    >>> y, e = f.process(x, d)
    >>> f.w.astype(float).round(2).tolist()
    [0.5, -0.2]
    """

    def __init__(
        self,
        taps: int,
        mu: float = 0.5,
        eps: float = 1e-6,
        dtype: DTypeLike = np.float32,
        *,
        leak: float = 0.0,
        gate: float = 0.0,
    ) -> None:
        self.taps = validation.check_int("taps", taps, 1, MAX_TAPS)
        self.mu = validation.check_float("mu", mu, 0.0, 2.0)
        self.eps = validation.check_float("eps", eps, MIN_EPS, np.inf)
        self.dtype = validation.check_precision(dtype)
        self.leak = validation.check_float("leak", leak, 0.0, MAX_LEAK)
        self.gate = validation.check_float("gate", gate, 0.0, np.inf)
        self.w: Signal = np.zeros(self.taps, self.dtype)
        self.clear_history()

    def clear_history(self) -> None:
        """Set past samples to zero and keep the weights, as after a gap in the stream."""
        self._past = np.zeros(self.taps - 1, self.dtype)

    @property
    def past(self) -> Signal:
        """The taps - 1 latest reference samples, the oldest first."""
        return self._past

    def process(self, x: ArrayLike, d: ArrayLike) -> tuple[Signal, Signal]:
        """Filter and adapt over one block of any length.

        Parameters
        ----------
        x, d : (n,) array_like, n >= 1
            Reference and primary signal; every sample finite.

        Returns
        -------
        y, e : (n,) ndarray of `dtype`
            Filter output and residual e = d - y, each before the update of its own sample.

        Raises
        ------
        ValueError
            If a block is empty, of the wrong shape, or not finite. The filter is unchanged.
        ArithmeticError
            If the filter diverges. The filter is unchanged.
        """
        x, d = validation.check_pair(x, d, self.dtype)
        stream = np.concatenate([self._past, x])
        # Windows hold their oldest sample first, so the weights are reversed while they are applied.
        w, e = self.w[::-1].copy(), np.empty_like(d)
        if kernel.nlms is not None:
            gate = self.gate * self.taps
            kernel.nlms(stream, d, e, w, mu=self.mu, eps=self.eps, leak=self.leak, gate=gate)
        else:
            for start, stop, size in runs(d.size, self.dtype):
                run = stream[start : stop + self.taps - 1]
                self._adapt(w, run, d[start:stop].reshape(-1, size), e[start:stop].reshape(-1, size))
        validation.check_converged(e)
        self.w, self._past = w[::-1].copy(), stream[d.size :]
        return d - e, e

    def _adapt(self, w: Signal, run: Signal, d: Signal, e: Signal) -> None:
        """Update `w`, reversed, in place and write `e` for a run of blocks, (count, size)."""
        size = d.shape[1]
        # With leak, w' = w / keep^n follows the recursion without leak on d / keep^n: one scaling per block
        # is enough.
        keep = 1 - self.leak
        decay = np.power(keep, np.arange(size + 1)).astype(self.dtype)
        G = gram(run, run, self.taps, size)
        energy = np.diagonal(G, axis1=1, axis2=2)
        mu_n = self.mu / keep / (self.eps + energy) * (energy >= self.gate * self.taps)
        solved = invert_unit_lower(np.multiply(G, mu_n[:, None], order="C"))
        blocks = zip(window_columns(run, self.taps, size), solved, d / decay[:-1], e, mu_n, strict=True)
        for X, solve, d_c, e_c, mu_c in blocks:
            np.dot(solve, d_c - np.dot(w, X), out=e_c)
            w += np.dot(X, mu_c * e_c)
            if self.leak:
                w *= decay[-1]
        e *= decay[:-1]

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues bit for bit."""
        numbers = (self.taps, self.mu, self.eps, self.leak, self.gate)
        return pack(KIND, numbers, (self.w, self._past))

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Restore a filter from `state()`. Raises ValueError for damaged bytes or another kind of filter."""
        (taps, mu, eps, leak, gate), (w, past) = unpack(KIND, state)
        f = cls(int(taps), mu, eps, w.dtype, leak=leak, gate=gate)
        f.w, f._past = w, past
        return f
