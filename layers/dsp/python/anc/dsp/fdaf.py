"""Frequency-domain adaptive filter: constrained, partitioned, overlap-save.

One update a block instead of one a sample, with a step of its own for every frequency: coloured noise, on
which NLMS crawls along its weak frequencies, converges evenly, and the cost per sample falls with the
logarithm of the block. The output of a block needs no sample after it.

The error of a block is transformed behind a block of zeros, so a line in its spectrum leaks into every bin
as the transform of that rectangle does. A step normalised by the power of its own bin alone is unstable
where the reference has next to nothing and the error has leakage: on tones, hum, engines and offsets. Here
each bin is normalised by the power that leaks into it too: the spectrum smoothed by the squared transform
of the rectangle (a Fejer kernel).

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
MEMORY = 0.9  # of the power estimate, per block
DIVERGED = 100.0  # times the energy of the input: weights that leave this much are dropped


class FDAF:
    """Frequency-domain adaptive filter over a stream of blocks.

    No block leaves louder than it came: one that would is passed through (y = 0) while the weights adapt on.

    Parameters
    ----------
    taps : int
        Filter length; w[0] multiplies the newest sample.
    mu : float, 0 <= mu <= 2
        Step size, the same share of the error for every frequency.
    eps : float > 0
        Regularisation, in units of power times taps, as in `NLMS`.
    dtype : float32 or float64
        Of weights, history, outputs and arithmetic.
    block : int
        Samples between updates; `process` takes multiples of it.

    Attributes
    ----------
    w : (taps,) ndarray
        Weights, as an impulse response.
    mu : float
        May be changed between blocks.
    resets : int
        How often the weights were set to zero because they had diverged.
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
        # One row a partition, and as many zeros after it as overlap-save discards.
        self._w: Signal = np.zeros((self.partitions, 2 * self.block), self.dtype)
        self._power: Signal = np.zeros(self.block + 1, self.dtype)
        lag = np.abs(np.fft.fftfreq(2 * self.block, 1 / (2 * self.block)))
        self._leakage: Signal = (1 - lag / self.block).astype(self.dtype)
        self.resets = 0
        self.clear_history()

    @property
    def w(self) -> Signal:
        """Weights as an impulse response, (taps,); assign all of them to start from a known filter."""
        return self._w[:, : self.block].ravel()[: self.taps]

    @w.setter
    def w(self, weights: Signal) -> None:
        spare = np.zeros(self.partitions * self.block - self.taps, self.dtype)
        self._w[:, : self.block] = np.concatenate([weights, spare]).reshape(-1, self.block)

    def clear_history(self) -> None:
        """Forget past samples and keep the weights: what a gap in the stream asks for."""
        self._past = np.zeros(self.partitions * self.block, self.dtype)

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
            If a block is empty, of another length or shape, or not finite; the filter is then as it was.
        """
        x, d = validation.check_pair(x, d, self.dtype)
        if x.size % self.block:
            raise ValueError(f"x has {x.size} samples; an FDAF takes multiples of its block, {self.block}")
        B, P = self.block, self.partitions
        stream = np.concatenate([self._past, x])
        X = np.fft.rfft(strided_view(stream, 0, (P + x.size // B - 1, 2 * B), (B, 1)))
        power, steps = self._steps(X)
        w = self._w.copy()
        y, e = np.empty((2, x.size // B, B), self.dtype)
        late, unused = np.zeros(2 * B, self.dtype), slice(self.taps - (P - 1) * B, B)
        for k, d_k in enumerate(d.reshape(-1, B)):
            # Partition p meets the spectrum of p blocks ago: newest first.
            recent = X[k : k + P][::-1]
            y[k] = np.fft.irfft((recent * np.fft.rfft(w)).sum(0))[B:]
            late[B:] = e[k] = d_k - y[k]
            energy, limit = np.vdot(e[k], e[k]), np.vdot(d_k, d_k)
            if not energy <= limit:  # nor is NaN
                y[k], e[k] = 0, d_k
                if not energy <= DIVERGED * limit + np.finfo(self.dtype).tiny:
                    w[:] = 0
                    self.resets += 1
                    continue
            gradient = np.fft.irfft(steps[k] * recent.conj() * np.fft.rfft(late))
            w[:, :B] += gradient[:, :B]
            w[-1, unused] = 0
        self._w, self._past, self._power = w, stream[x.size :], power
        return y.ravel(), e.ravel()

    def _steps(self, X: ComplexSpectra) -> tuple[Signal, Signal]:
        """Power estimate (bins,) after the last block, and step sizes (blocks, bins).

        The estimate rises at once and fades slowly: after a sudden rise of level the steps are small at once.
        """
        loudness = np.square(X.real) + np.square(X.imag)
        power = self._power
        estimates = np.empty((len(X) - self.partitions + 1, power.size), self.dtype)
        for k in range(len(estimates)):
            now = loudness[k : k + self.partitions].sum(0)
            estimates[k] = power = np.maximum(MEMORY * power + (1 - MEMORY) * now, now)
        smoothed = np.fft.rfft(np.fft.irfft(estimates) * self._leakage).real
        # A spectrum holds 2 * block times the power per sample; eps speaks of taps times that power.
        regularisation = self.eps * 2 * self.block / self.taps
        return power, self.mu / (np.maximum(estimates, smoothed) + regularisation)

    def state(self) -> bytes:
        """Everything the filter knows, as bytes: `from_state` continues bit for bit."""
        numbers = (self.taps, self.mu, self.eps, self.block, self.resets)
        return pack(KIND, numbers, (self.w, self._past, self._power))

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """The filter that `state` was taken from; ValueError if the bytes are damaged or not of an FDAF."""
        (taps, mu, eps, block, *resets), (w, past, power) = unpack(KIND, state)
        f = cls(int(taps), mu, eps, w.dtype, int(block))
        f.w, f._past, f._power = w, past, power
        f.resets = int(resets[0]) if resets else 0  # states written before the count was kept have none
        return f
