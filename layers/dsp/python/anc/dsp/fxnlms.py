"""Filtered-x normalised LMS, block-exact.

The driver signal reaches the error microphone through the secondary path s, so e[n] depends on the outputs,
and thereby on the weights, of the samples before. Over a block that is still one triangular system. With X
the rows x_n, V those of the filtered reference v = S * x, C = strict_lower(X V^T), D = diag(mu_n) and T the
lower Toeplitz matrix of s::

    (I + T C D) e = d - T X w - (what y before the block still sends through s)

after which y = X w + C D e and w <- w + V^T D e.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from anc.dsp import validation
from anc.dsp.block_exact import gram, invert_unit_lower, runs, strided_view, window_columns
from anc.dsp.nlms import MAX_TAPS, MIN_EPS
from anc.dsp.state import pack, unpack
from anc.dsp.validation import Signal

KIND = "fxnlms"


class FxNLMS:
    """Filtered-x NLMS over a stream of blocks, with the acoustic path simulated: e = d - s * y.

    Parameters
    ----------
    taps : int
        Filter length; w[0] multiplies the newest sample.
    mu : float, 0 <= mu <= 2
        Step size; a secondary path with delay asks for a small one.
    secondary : (m,) array_like
        Model S of the path from driver to error microphone, an impulse response; without one this is NLMS.
    eps : float > 0
        Regularisation, in the units of v_n . v_n: power of the filtered reference times taps.
    dtype : float32 or float64
        Of weights, history, outputs and arithmetic.
    path : (p,) array_like, optional
        The path s itself where it differs from its model: what a wrong model costs.

    Attributes
    ----------
    w : (taps,) ndarray
        Weights.
    mu : float
        May be changed between blocks.

    References
    ----------
    Kuo & Morgan, Active Noise Control Systems, 1996, section 3.2; `fxnlms_reference` is the same, sample by
    sample.
    """

    def __init__(
        self,
        taps: int,
        mu: float = 0.1,
        secondary: ArrayLike = (1.0,),
        eps: float = 1e-6,
        dtype: DTypeLike = np.float32,
        path: ArrayLike | None = None,
    ) -> None:
        self.taps = validation.check_int("taps", taps, 1, MAX_TAPS)
        self.mu = validation.check_float("mu", mu, 0.0, 2.0)
        self.eps = validation.check_float("eps", eps, MIN_EPS, np.inf)
        self.dtype = validation.check_precision(dtype)
        self.secondary = validation.check_signal("secondary", secondary, self.dtype)
        self.path = self.secondary if path is None else validation.check_signal("path", path, self.dtype)
        self.w: Signal = np.zeros(self.taps, self.dtype)
        self.clear_history()

    def clear_history(self) -> None:
        """Forget past samples and keep the weights: what a gap in the stream asks for."""
        self._past_x = np.zeros(max(self.taps, self.secondary.size) - 1, self.dtype)
        self._past_v = np.zeros(self.taps - 1, self.dtype)
        self._past_y = np.zeros(self.path.size - 1, self.dtype)

    def process(self, x: ArrayLike, d: ArrayLike) -> tuple[Signal, Signal]:
        """Filter, let the output pass the secondary path, and adapt, over one block of any length.

        Parameters
        ----------
        x, d : (n,) array_like, n >= 1
            Reference, and noise at the error microphone without control; every sample finite.

        Returns
        -------
        y, e : (n,) ndarray of `dtype`
            Driver signal and residual e = d - s * y at the error microphone.

        Raises
        ------
        ValueError
            If a block is empty, of the wrong shape, or not finite; the filter is then as it was.
        ArithmeticError
            If the filter diverges; it is then as it was, too.
        """
        x, d = validation.check_pair(x, d, self.dtype)
        xs = np.concatenate([self._past_x, x])
        v = np.convolve(xs[xs.size - x.size - self.secondary.size + 1 :], self.secondary, "valid")
        vs = np.concatenate([self._past_v, v])
        ys = np.concatenate([self._past_y, np.empty_like(x)])
        xw = xs[xs.size - vs.size :]
        # The windows hold their oldest sample first, and so do the weights while they meet them.
        w, e = self.w[::-1].copy(), np.empty_like(d)
        with np.errstate(over="ignore", invalid="ignore"):
            for start, stop, size in runs(d.size, self.dtype):
                now, later = slice(start, stop), slice(start, stop + self.taps - 1)
                blocks = d[now].reshape(-1, size), e[now].reshape(-1, size)
                self._adapt(w, xw[later], vs[later], ys[start:], *blocks)
        validation.check_converged(e)
        self.w, self._past_x, self._past_v = w[::-1].copy(), xs[x.size :], vs[x.size :]
        self._past_y = ys[x.size :]
        return ys[self.path.size - 1 :], e

    def _adapt(self, w: Signal, xs: Signal, vs: Signal, ys: Signal, d: Signal, e: Signal) -> None:
        """Move `w`, reversed, and write `e`, and `ys` after its history, over a run of blocks."""
        size = d.shape[1]
        energy = np.correlate(np.square(vs), np.ones(self.taps, self.dtype), "valid").reshape(d.shape)
        mu_n = self.mu / (self.eps + energy)
        CD = np.tril(gram(xs, vs, self.taps, size), -1) * mu_n[:, None]
        H = convolution_matrix(self.path, size)
        solved = invert_unit_lower(np.ascontiguousarray(H[:, self.path.size - 1 :]) @ CD)
        X, V = (window_columns(part, self.taps, size) for part in (xs, vs))
        for c, (X_c, V_c) in enumerate(zip(X, V, strict=True)):
            heard = ys[c * size : (c + 1) * size + self.path.size - 1]
            y = heard[self.path.size - 1 :]
            y[:] = np.dot(w, X_c)
            np.dot(solved[c], d[c] - np.dot(H, heard), out=e[c])
            y += np.dot(CD[c], e[c])
            w += np.dot(V_c, mu_n[c] * e[c])

    def state(self) -> bytes:
        """Everything the filter knows, the secondary path included: `from_state` continues bit for bit."""
        own_path = self.path is not self.secondary
        vectors = [self.w, self.secondary, self._past_x, self._past_v, self._past_y]
        return pack(KIND, (self.taps, self.mu, self.eps), vectors + [self.path] * own_path)

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """The filter that `state` was taken from; ValueError if the bytes are damaged or not of an FxNLMS."""
        (taps, mu, eps), (w, secondary, past_x, past_v, past_y, *path) = unpack(KIND, state)
        f = cls(int(taps), mu, secondary=secondary, eps=eps, dtype=w.dtype, path=path[0] if path else None)
        f.w, f._past_x, f._past_v, f._past_y = w, past_x, past_v, past_y
        return f


def convolution_matrix(h: Signal, size: int) -> Signal:
    """(size, h.size - 1 + size) matrix that convolves h with a block and the h.size - 1 samples before it."""
    none = np.zeros(size - 1, h.dtype)
    rows = np.concatenate([none, h[::-1], none])
    return np.ascontiguousarray(strided_view(rows, size - 1, (size, h.size - 1 + size), (-1, 1)))
