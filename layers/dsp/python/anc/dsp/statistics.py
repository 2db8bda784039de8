"""Sufficient statistics of a noise at a headset: all that the design of a control filter needs, and no audio.

With v = S * x the reference as it arrives through the secondary path, a control filter w leaves e = d - w * v, and::

    E[e^2] = E[d^2] - 2 w . p + w . R w        R = toeplitz(r)    r[k] = E[v[n] v[n-k]]    p[k] = E[d[n] v[n-k]]

so r, p and the power of d tell the residual of every filter of as many taps, and sums of them over snapshots tell
that of the snapshots together. About 4 KB at 512 taps.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import checks
from anc.dsp.checks import Signal
from anc.dsp.state import pack, unpack

KIND = "stats"
DOUBLE = np.dtype(np.float64)
HIGH_PASS_HZ = 60.0  # no headset driver makes sound below
HIGH_PASS_ORDER = 2


@dataclass(frozen=True)
class Statistics:
    """Sums over samples, as float64.

    Attributes
    ----------
    autocorrelation : (taps,) ndarray
        Of the filtered reference v, summed over samples.
    crosscorrelation : (taps,) ndarray
        Of d with v delayed by 0 to taps - 1.
    energy : float
        Of d.
    samples : float
        How many samples were summed; a fraction after `forget`.
    rate : float
        Hz; the high-pass and the taps mean nothing without it.
    """

    autocorrelation: Signal
    crosscorrelation: Signal
    energy: float
    samples: float
    rate: float

    @classmethod
    def measure(
        cls, x: ArrayLike, d: ArrayLike, secondary: ArrayLike, taps: int = 512, rate: float = 16_000
    ) -> Self:
        """Statistics of one snapshot, high-passed at 60 Hz.

        Parameters
        ----------
        x, d : (n,) array_like, n > taps
            Reference, and noise at the error microphone without control; see `recover_primary`.
        secondary : (m,) array_like
            Model S of the path from driver to error microphone, an impulse response.
        taps : int
            Of the control filters that the statistics shall design and judge.
        rate : float
            Of both signals, Hz.

        Raises
        ------
        ValueError
            If the signals are unequal, not finite, or no longer than the filter.
        """
        x, d = checks.pair(x, d, DOUBLE)
        S = checks.signal("secondary", secondary, DOUBLE)
        taps = checks.whole("taps", taps, 1, x.size - 1)
        v = np.convolve(x, S)[: x.size]
        # Zero padding twofold and more: neither correlation nor high-pass may wrap around.
        size = 1 << (2 * x.size - 1).bit_length()
        V, D = np.fft.rfft(v, size), np.fft.rfft(d, size)
        weight = high_pass_power(np.fft.rfftfreq(size, 1 / rate))
        r = np.fft.irfft(weight * np.square(np.abs(V)))[:taps]
        p = np.fft.irfft(weight * D * V.conj())[:taps]
        energy = np.fft.irfft(weight * np.square(np.abs(D)))[0]
        return cls(r, p, float(energy), float(x.size), rate)

    @property
    def taps(self) -> int:
        """Length of the control filters that these statistics judge."""
        return self.autocorrelation.size

    def __add__(self, other: "Statistics") -> "Statistics":
        """Statistics of both together; ValueError if their lengths or rates differ."""
        if (self.taps, self.rate) != (other.taps, other.rate):
            raise ValueError(
                f"statistics of {other.taps} taps at {other.rate:g} Hz cannot be added to "
                f"those of {self.taps} taps at {self.rate:g} Hz"
            )
        return Statistics(
            self.autocorrelation + other.autocorrelation,
            self.crosscorrelation + other.crosscorrelation,
            self.energy + other.energy,
            self.samples + other.samples,
            self.rate,
        )

    def forget(self, factor: float) -> "Statistics":
        """Statistics that count only `factor` (0 to 1) of what they did: old noise fades."""
        factor = checks.number("factor", factor, 0.0, 1.0)
        return Statistics(
            factor * self.autocorrelation,
            factor * self.crosscorrelation,
            factor * self.energy,
            factor * self.samples,
            self.rate,
        )

    def residual_db(self, w: ArrayLike) -> float:
        """Attenuation in dB that control filter `w`, (m,) with m <= taps, gives on these statistics.

        Positive when noise falls; below 0 a filter makes things worse. For a filter designed on the very same
        statistics this is too good by the noise it has learned by heart: see `ControlFilter.predicted_gain_db`.
        """
        w = checks.signal("w", w, DOUBLE)
        checks.whole("taps of w", w.size, 1, self.taps)
        if self.energy <= 0:
            return 0.0
        left = self.energy - 2 * w @ self.crosscorrelation[: w.size] + w @ self.toeplitz_times(w)
        return float(-10 * np.log10(max(left / self.energy, 1e-12)))

    def toeplitz_times(self, w: Signal) -> Signal:
        """R w, (m,), for w of shape (m,), without building R."""
        r = self.autocorrelation[: w.size]
        return np.convolve(w, np.concatenate([r[:0:-1], r]), "valid" if w.size == 1 else "full")[
            w.size - 1 : 2 * w.size - 1
        ]

    def to_bytes(self) -> bytes:
        """About 8 bytes a tap: correlations as float32, versioned and checksummed."""
        vectors = [self.autocorrelation.astype(np.float32), self.crosscorrelation.astype(np.float32)]
        return pack(KIND, (self.energy, self.samples, self.rate), vectors)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote; ValueError if damaged or not finite."""
        (energy, samples, rate), (r, p) = unpack(KIND, data)
        if r.size != p.size or min(energy, samples, r[0]) < 0 or rate <= 0:
            raise ValueError("statistics: lengths, energy, sample count or rate contradict each other")
        return cls(
            checks.signal("autocorrelation", r, DOUBLE),
            checks.signal("crosscorrelation", p, DOUBLE),
            energy,
            samples,
            rate,
        )


def high_pass_power(frequency: Signal) -> Signal:
    """Squared magnitude of the Butterworth high-pass at 60 Hz, at `frequency` in Hz.

    As a weight on spectra it acts on v and d alike and without phase: the optimal filter stays causal and unchanged
    where there is sound to cancel.
    """
    ratio = np.power(frequency / HIGH_PASS_HZ, 2 * HIGH_PASS_ORDER)
    return ratio / (1 + ratio)
