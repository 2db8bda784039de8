"""Frequency-domain adaptive filter: constrained, partitioned, overlap-save.

One update a block instead of one a sample, with a step of its own for every frequency: coloured noise, on which
NLMS crawls along its weak frequencies, converges evenly, and the cost per sample falls with the logarithm of the
block. The output of a block needs no sample after it.

References: Shynk, "Frequency-domain and multirate adaptive filtering", IEEE Signal Processing Magazine 9(1), 1992;
Soo & Pang, "Multidelay block frequency domain adaptive filter", IEEE Trans. ASSP 38(2), 1990.
"""

from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, DTypeLike

from anc.dsp import checks
from anc.dsp.checks import Signal
from anc.dsp.nlms import LONGEST_FILTER, SMALLEST_EPS
from anc.dsp.state import pack, unpack

KIND = "fdaf"
MEMORY = 0.9  # of the power estimate, per block


class FDAF:
    """Frequency-domain adaptive filter over a stream of blocks.

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
    """

    def __init__(
        self,
        taps: int,
        mu: float = 0.5,
        eps: float = 1e-6,
        dtype: DTypeLike = np.float32,
        block: int = 512,
    ) -> None:
        self.taps = checks.whole("taps", taps, 1, LONGEST_FILTER)
        self.mu = checks.number("mu", mu, 0.0, 2.0)
        self.eps = checks.number("eps", eps, SMALLEST_EPS, np.inf)
        self.dtype = checks.precision(dtype)
        self.block = checks.whole("block", block, 1, LONGEST_FILTER)
        self.partitions = -(-self.taps // self.block)
        self.w: Signal = np.zeros(self.taps, self.dtype)
        self._power: Signal = np.zeros(self.block + 1, self.dtype)
        self.clear_history()

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
        x, d = checks.pair(x, d, self.dtype)
        if x.size % self.block:
            raise ValueError(f"x has {x.size} samples; an FDAF takes multiples of its block, {self.block}")
        B, P = self.block, self.partitions
        stream = np.concatenate([self._past, x])
        spectra = np.fft.rfft(sliding_window_view(stream, 2 * B)[::B])
        power = np.square(spectra.real) + np.square(spectra.imag)
        y, e = np.empty_like(d), np.empty_like(d)
        padded = np.zeros((P, 2 * B), self.dtype)
        late = np.zeros(2 * B, self.dtype)
        w = np.zeros(P * B, self.dtype)
        w[: self.taps] = self.w
        # A block's spectrum carries 2 * block times the power per sample; eps speaks of taps times that power.
        floor = self.eps * 2 * B / self.taps
        for at in range(0, d.size, B):
            now, k = slice(at, at + B), at // B
            X = spectra[k : k + P][::-1]
            padded[:, :B] = w.reshape(P, B)
            W = np.fft.rfft(padded)
            y[now] = np.fft.irfft((X * W).sum(0))[B:]
            e[now] = late[B:] = d[now] - y[now]
            loudness = power[k : k + P].sum(0)
            self._power = np.maximum(MEMORY * self._power + (1 - MEMORY) * loudness, loudness)
            gradient = np.fft.irfft(X.conj() * (np.fft.rfft(late) * (self.mu / (self._power + floor))))
            w += gradient[:, :B].ravel()
            w[self.taps :] = 0
        self.w, self._past = w[: self.taps], stream[x.size :]
        return y, e

    def state(self) -> bytes:
        """Everything the filter knows, as bytes: `from_state` continues bit for bit."""
        return pack(KIND, (self.taps, self.mu, self.eps, self.block), (self.w, self._past, self._power))

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """The filter that `state` was taken from; ValueError if the bytes are damaged or not of an FDAF."""
        (taps, mu, eps, block), (w, past, power) = unpack(KIND, state)
        f = cls(int(taps), mu, eps, w.dtype, int(block))
        f.w, f._past, f._power = w, past, power
        return f
