"""Frequency-domain adaptive filter: constrained, partitioned, overlap-save.

One update per block instead of one per sample, with a separate step for every frequency: coloured noise, on
which NLMS converges slowly at weak frequencies, converges evenly, and the cost per sample grows only with the
logarithm of the block. The output of a block needs no later sample.

The error of a block is transformed after a block of zeros, so a spectral line leaks into every bin. A step
normalised by the power of its own bin alone is unstable where the reference has almost no power and the error
has leakage: on tones, hum, engines and offsets. Here each bin is also normalised by the power that leaks into
it: the spectrum smoothed by the squared transform of the rectangular window (a Fejer kernel).

References: Shynk, "Frequency-domain and multirate adaptive filtering", IEEE Signal Processing Magazine 9(1),
1992; Soo & Pang, "Multidelay block frequency domain adaptive filter", IEEE Trans. ASSP 38(2), 1990; Harris,
"On the use of windows for harmonic analysis with the discrete Fourier transform", Proc. IEEE 66(1), 1978.
"""

from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from anc.dsp import validation
from anc.dsp.block_exact import strided_view
from anc.dsp.nlms import MAX_TAPS, MIN_EPS
from anc.dsp.state import pack, unpack
from anc.dsp.validation import Signal

KIND = "fdaf"
ComplexSpectra: TypeAlias = NDArray[np.complexfloating]
MEMORY = 0.9  # smoothing factor of the power estimate, per block
DIVERGED = 100.0  # residual energy over input energy from which the weights are reset


class FDAF:
    """Frequency-domain adaptive filter over a stream of blocks.

    A block whose residual would be louder than d is passed through (y = 0) while the weights keep adapting.

    Parameters
    ----------
    taps : int
        Filter length.
    mu : float, 0 <= mu <= 2
        Step size, relative to the error at every frequency.
    eps : float > 0
        Regularisation, in units of power times taps, as in `NLMS`.
    dtype : float32 or float64
        Of weights, history, outputs and arithmetic.
    block : int
        Samples between updates; `process` takes multiples of it.

    Attributes
    ----------
    w : (taps,) ndarray
        Weights, tap 0 first.
    mu : float
        Step size; may be changed between blocks.
    resets : int
        Number of times that the weights were set to zero because they had diverged.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(8192)
    >>> y, e = FDAF(taps=64, block=64).process(x, 0.5 * x)
    >>> bool(np.abs(e[-64:]).max() < 1e-3)
    True
    """

    def __init__(
        self,
        taps: int,
        mu: float = 0.5,
        eps: float = 1e-6,
        dtype: DTypeLike = np.float32,
        block: int = 512,
    ) -> None:
        self.taps = validation.check_int("taps", taps, 1, MAX_TAPS)
        self.mu = validation.check_float("mu", mu, 0.0, 2.0)
        self.eps = validation.check_float("eps", eps, MIN_EPS, np.inf)
        self.dtype = validation.check_precision(dtype)
        self.block = validation.check_int("block", block, 1, MAX_TAPS)
        self.partitions = -(-self.taps // self.block)
        # One row per partition, followed by as many zeros as overlap-save discards.
        self._w: Signal = np.zeros((self.partitions, 2 * self.block), self.dtype)
        self._power: Signal = np.zeros(self.block + 1, self.dtype)
        lag = np.abs(np.fft.fftfreq(2 * self.block, 1 / (2 * self.block)))
        self._leakage: Signal = (1 - lag / self.block).astype(self.dtype)
        self.resets = 0
        self.clear_history()

    @property
    def w(self) -> Signal:
        """Weights, (taps,), tap 0 first. Assign to start from a known filter."""
        return self._w[:, : self.block].ravel()[: self.taps]

    @w.setter
    def w(self, weights: Signal) -> None:
        spare = np.zeros(self.partitions * self.block - self.taps, self.dtype)
        self._w[:, : self.block] = np.concatenate([weights, spare]).reshape(-1, self.block)

    def clear_history(self) -> None:
        """Set past samples to zero and keep the weights, as after a gap in the stream."""
        self._past = np.zeros(self.partitions * self.block, self.dtype)

    @property
    def past(self) -> Signal:
        """The latest reference samples, at least taps - 1 of them, the oldest first."""
        return self._past

    def process(self, x: ArrayLike, d: ArrayLike) -> tuple[Signal, Signal]:
        """Filter and adapt over one or more blocks.

        Parameters
        ----------
        x, d : (n,) array_like, n a multiple of `block`
            Reference and primary signal; every sample finite.

        Returns
        -------
        y, e : (n,) ndarray of `dtype`
            Filter output and residual e = d - y, each before the update of its own block.

        Raises
        ------
        ValueError
            If a block is empty, no multiple of `block`, of the wrong shape, or not finite. The filter is
            unchanged.
        """
        x, d = validation.check_pair(x, d, self.dtype)
        if x.size % self.block:
            raise ValueError(
                f"x: the number of samples must be a multiple of the block, {self.block} (got {x.size})"
            )
        B, P = self.block, self.partitions
        stream = np.concatenate([self._past, x])
        X = np.fft.rfft(strided_view(stream, 0, (P + x.size // B - 1, 2 * B), (B, 1)))
        power, steps = self._step_sizes(X)
        w = self._w.copy()
        y, e = np.empty((2, x.size // B, B), self.dtype)
        padded_error, unused = np.zeros(2 * B, self.dtype), slice(self.taps - (P - 1) * B, B)
        for k, d_k in enumerate(d.reshape(-1, B)):
            # Partition p is multiplied by the spectrum of p blocks ago.
            recent = X[k : k + P][::-1]
            y[k] = np.fft.irfft((recent * np.fft.rfft(w)).sum(0))[B:]
            padded_error[B:] = e[k] = d_k - y[k]
            energy, limit = np.vdot(e[k], e[k]), np.vdot(d_k, d_k)
            if not energy <= limit:  # true for NaN as well
                y[k], e[k] = 0, d_k
                if not energy <= DIVERGED * limit + np.finfo(self.dtype).tiny:
                    w[:] = 0
                    self.resets += 1
                    continue
            gradient = np.fft.irfft(steps[k] * recent.conj() * np.fft.rfft(padded_error))
            w[:, :B] += gradient[:, :B]
            w[-1, unused] = 0
        self._w, self._past, self._power = w, stream[x.size :], power
        return y.ravel(), e.ravel()

    def _step_sizes(self, X: ComplexSpectra) -> tuple[Signal, Signal]:
        """Return the power estimate after the last block, (bins,), and step sizes, (blocks, bins).

        The estimate rises at once and decays slowly, so a sudden rise of level reduces the steps immediately.
        """
        power_now = np.square(X.real) + np.square(X.imag)
        power = self._power
        estimates = np.empty((len(X) - self.partitions + 1, power.size), self.dtype)
        for k in range(len(estimates)):
            now = power_now[k : k + self.partitions].sum(0)
            estimates[k] = power = np.maximum(MEMORY * power + (1 - MEMORY) * now, now)
        smoothed = np.fft.rfft(np.fft.irfft(estimates) * self._leakage).real
        # A spectrum holds 2 * block times the power per sample; eps is in units of taps times that power.
        regularisation = self.eps * 2 * self.block / self.taps
        return power, self.mu / (np.maximum(estimates, smoothed) + regularisation)

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues bit for bit."""
        numbers = (self.taps, self.mu, self.eps, self.block, self.resets)
        return pack(KIND, numbers, (self.w, self._past, self._power))

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Restore a filter from `state()`. Raises ValueError for damaged bytes or another kind of filter."""
        (taps, mu, eps, block, *resets), (w, past, power) = unpack(KIND, state)
        f = cls(int(taps), mu, eps, w.dtype, int(block))
        f.w, f._past, f._power = w, past, power
        f.resets = int(resets[0]) if resets else 0  # older states do not contain the count
        return f
