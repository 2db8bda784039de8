"""Filtered-x normalised LMS, block-exact.

The driver signal reaches the error microphone through the secondary path s, so e[n] depends on earlier
outputs and thus on earlier weights. Over a block this is still one triangular system. With X the rows x_n, V
those of the filtered reference v = S * x, C = strict_lower(X V^T), D = diag(mu_n) and T the lower Toeplitz
matrix of s::

    (I + T C D) e = d - T X w - (contribution of y before the block through s)

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
    """Filtered-x NLMS over a stream of blocks, with the secondary path simulated: e = d - s * y.

    Parameters
    ----------
    taps : int
        Filter length.
    mu : float, 0 <= mu <= 2
        Step size; a secondary path with delay needs a small one.
    secondary : (m,) array_like
        Model S of the path from driver to error microphone: impulse response, tap 0 first. The default of one
        unit sample makes this NLMS.
    eps : float > 0
        Regularisation, in the units of v_n . v_n: power of the filtered reference times taps.
    dtype : float32 or float64
        Of weights, history, outputs and arithmetic.
    path : (p,) array_like, optional
        The true path s, if it differs from its model; the model if left out.

    Attributes
    ----------
    w : (taps,) ndarray
        Weights, tap 0 first.
    mu : float
        Step size; may be changed between blocks.

    References
    ----------
    Kuo & Morgan, Active Noise Control Systems, 1996, section 3.2; `fxnlms_reference` is the same, sample by
    sample.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(4000)
    >>> d = np.concatenate([np.zeros(2), x[:-2]])  # the noise arrives two samples later
    >>> y, e = FxNLMS(taps=8, mu=0.1, secondary=[0.0, 0.5]).process(x, d)
    >>> bool(np.abs(e[-100:]).max() < 1e-3)
    True
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
        """Set past samples to zero and keep the weights, as after a gap in the stream."""
        self._past_x = np.zeros(max(self.taps, self.secondary.size) - 1, self.dtype)
        self._past_v = np.zeros(self.taps - 1, self.dtype)
        self._past_y = np.zeros(self.path.size - 1, self.dtype)

    def process(self, x: ArrayLike, d: ArrayLike) -> tuple[Signal, Signal]:
        """Filter, simulate the secondary path, and adapt over one block of any length.

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
            If a block is empty, of the wrong shape, or not finite. The filter is unchanged.
        ArithmeticError
            If the filter diverges. The filter is unchanged.
        """
        x, d = validation.check_pair(x, d, self.dtype)
        xs = np.concatenate([self._past_x, x])
        v = np.convolve(xs[xs.size - x.size - self.secondary.size + 1 :], self.secondary, "valid")
        vs = np.concatenate([self._past_v, v])
        ys = np.concatenate([self._past_y, np.empty_like(x)])
        xw = xs[xs.size - vs.size :]
        # Windows hold their oldest sample first, so the weights are reversed while they are applied.
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
        """Update `w`, reversed, in place and write `e`, and `ys` after its history, for a run of blocks."""
        size = d.shape[1]
        energy = np.correlate(np.square(vs), np.ones(self.taps, self.dtype), "valid").reshape(d.shape)
        mu_n = self.mu / (self.eps + energy)
        CD = np.tril(gram(xs, vs, self.taps, size), -1) * mu_n[:, None]
        H = convolution_matrix(self.path, size)
        solved = invert_unit_lower(np.ascontiguousarray(H[:, self.path.size - 1 :]) @ CD)
        X, V = (window_columns(part, self.taps, size) for part in (xs, vs))
        for c, (X_c, V_c) in enumerate(zip(X, V, strict=True)):
            played = ys[c * size : (c + 1) * size + self.path.size - 1]
            y = played[self.path.size - 1 :]
            y[:] = np.dot(w, X_c)
            np.dot(solved[c], d[c] - np.dot(H, played), out=e[c])
            y += np.dot(CD[c], e[c])
            w += np.dot(V_c, mu_n[c] * e[c])

    def state(self) -> bytes:
        """Return the complete state, paths included, as bytes; `from_state` continues bit for bit."""
        own_path = self.path is not self.secondary
        vectors = [self.w, self.secondary, self._past_x, self._past_v, self._past_y]
        return pack(KIND, (self.taps, self.mu, self.eps), vectors + [self.path] * own_path)

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Restore a filter from `state()`. Raises ValueError for damaged bytes or another kind of filter."""
        (taps, mu, eps), (w, secondary, past_x, past_v, past_y, *path) = unpack(KIND, state)
        f = cls(int(taps), mu, secondary=secondary, eps=eps, dtype=w.dtype, path=path[0] if path else None)
        f.w, f._past_x, f._past_v, f._past_y = w, past_x, past_v, past_y
        return f


def convolution_matrix(h: Signal, size: int) -> Signal:
    """Return the (size, m - 1 + size) matrix that convolves h, (m,), with a block after m - 1 samples."""
    padding = np.zeros(size - 1, h.dtype)
    rows = np.concatenate([padding, h[::-1], padding])
    return np.ascontiguousarray(strided_view(rows, size - 1, (size, h.size - 1 + size), (-1, 1)))
