"""Sufficient statistics of a noise at a headset: all that the design of a control filter needs, and no audio.

With v = S * x the reference as it arrives through the secondary path, a control filter w leaves e = d - w *
v, and::

    E[e^2] = E[d^2] - 2 w . p + w . R w
    R = toeplitz(r)        r[k] = E[v[n] v[n-k]]        p[k] = E[d[n] v[n-k]]

so r, p and the power of d tell the residual of every filter of as many taps, and sums of them over snapshots
tell that of the snapshots together. About 4 KB at 512 taps.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import validation
from anc.dsp.convolution import fft_filter
from anc.dsp.state import pack, unpack
from anc.dsp.toeplitz import toeplitz_times
from anc.dsp.validation import Signal

KIND = "stats"
DOUBLE = np.dtype(np.float64)
HIGH_PASS_HZ = 60.0  # no headset driver makes sound below
HIGH_PASS_ORDER = 2
SLACK = 1e-3  # of what float32 rounds


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
        How many samples were summed, those at the edges in part; fewer after `forget`.
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
        secondary : (m,) or (paths, m) array_like
            Model S of the path from driver to error microphone, an impulse response; of several, as measured
            on several heads or fits, each counts as if the snapshot had been taken once through it.
        taps : int
            Of the control filters that the statistics shall design and judge.
        rate : float
            Of both signals, Hz.

        Raises
        ------
        ValueError
            If the signals are unequal, not finite, or no longer than the filter.
        """
        return cls.measure_segments(x, d, secondary, taps, rate, count=1)[0]

    @classmethod
    def measure_segments(
        cls, x: ArrayLike, d: ArrayLike, secondary: ArrayLike, taps: int, rate: float, *, count: int
    ) -> list[Self]:
        """As `measure`, for `count` equal stretches one by one: what one teaches, another can test."""
        x, d = validation.check_pair(x, d, DOUBLE)
        taps = validation.check_int("taps", taps, 1, x.size // count - 1)
        rate = validation.check_float("rate", rate, 2 * HIGH_PASS_HZ, 1e6)
        paths = np.atleast_2d(np.asarray(secondary, DOUBLE))
        v = np.array([fft_filter(validation.check_signal("secondary", S, DOUBLE), x) for S in paths])
        length = x.size // count
        # Zero padding by as much again and more: neither correlation nor high-pass may wrap around.
        size = 1 << (2 * length - 1).bit_length()
        weight = high_pass_power(np.fft.rfftfreq(size, 1 / rate))
        window = tukey(length)
        samples = len(paths) * float(window @ window)
        stretches = []
        for start in range(0, count * length, length):
            V = np.fft.rfft(window * v[:, start : start + length], size)
            D = np.fft.rfft(window * d[start : start + length], size)
            r, p, energy = (
                np.fft.irfft(weight * spectrum)[:taps]
                for spectrum in (np.square(np.abs(V)).sum(0), D * V.conj().sum(0), np.square(np.abs(D)))
            )
            stretches.append(cls(r, p, len(paths) * float(energy[0]), samples, rate))
        return stretches

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

    def decayed(self, factor: float) -> "Statistics":
        """Statistics that count only `factor` (0 to 1) of what they did: old noise fades."""
        factor = validation.check_float("factor", factor, 0.0, 1.0)
        return Statistics(
            factor * self.autocorrelation,
            factor * self.crosscorrelation,
            factor * self.energy,
            factor * self.samples,
            self.rate,
        )

    def rescaled(self, other: "Statistics", seconds: float) -> "Statistics":
        """These as if measured at the level of `other`, counting as much as `seconds` of its sound do."""
        share = other.energy * seconds * other.rate / max(other.samples, 1.0)
        factor = share / self.energy if self.energy > 0 else 0.0
        return Statistics(
            factor * self.autocorrelation,
            factor * self.crosscorrelation,
            factor * self.energy,
            seconds * other.rate,
            self.rate,
        )

    def attenuation_db(self, w: ArrayLike) -> float:
        """Attenuation in dB that control filter `w`, (m,) with m <= taps, gives on these statistics.

        Positive when noise falls; below 0 a filter makes things worse; silence is 0. For a filter designed on
        the very same statistics this is too good by the noise it has learned by heart: see `ControlFilter`.
        """
        if self.energy <= 0:
            return 0.0
        return float(-10 * np.log10(max(self.residual(w) / self.energy, 1e-12)))

    def residual(self, w: ArrayLike) -> float:
        """Energy of e = d - w * v, in the units of `energy`, for control filter `w`, (m,) with m <= taps."""
        w = validation.check_signal("w", w, DOUBLE)
        validation.check_int("taps of w", w.size, 1, self.taps)
        explained = 2 * w @ self.crosscorrelation[: w.size]
        return float(self.energy - explained + w @ toeplitz_times(self.autocorrelation[: w.size], w))

    def to_bytes(self) -> bytes:
        """About 8 bytes a tap: correlations as float32, versioned and checksummed."""
        vectors = [self.autocorrelation.astype(np.float32), self.crosscorrelation.astype(np.float32)]
        return pack(KIND, (self.energy, self.samples, self.rate), vectors)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote; ValueError if damaged, not finite, or not of any sound (Cauchy-Schwarz)."""
        (energy, samples, rate), (r, p) = unpack(KIND, data)
        sane = r.size == p.size > 0 and r[0] >= 0 and rate > 0
        if not sane or not np.isfinite([energy, samples, rate]).all() or min(energy, samples) < 0:
            raise ValueError("statistics: lengths, energy, sample count or rate contradict each other")
        r, p = (
            validation.check_signal("autocorrelation", r, DOUBLE),
            validation.check_signal("crosscorrelation", p, DOUBLE),
        )
        power = (1 + SLACK) * (r[0] + np.finfo(np.float32).tiny)
        if np.abs(r).max() > power or np.abs(p).max() > np.sqrt(power) * np.sqrt(energy):
            raise ValueError("statistics: the correlations are larger than the energies allow")
        return cls(r, p, energy, samples, rate)


def tukey(n: int) -> Signal:
    """Window (n,) that rises and falls over an eighth of its length.

    At a hard edge d lacks the v it comes from and v the d it goes to, which would cap the attenuation that
    statistics can show at that share of the stretch: 27 dB for a path of 30 samples in one of 16,000.
    """
    edge = np.sin(np.pi / 2 * (np.arange(n // 8) + 0.5) / max(n // 8, 1)) ** 2
    return np.concatenate([edge, np.ones(n - 2 * edge.size), edge[::-1]])


def high_pass_power(frequency: Signal) -> Signal:
    """Squared magnitude of the Butterworth high-pass at 60 Hz, at `frequency` in Hz.

    As a weight on spectra it acts on v and d alike and without phase: the optimal filter stays causal and
    unchanged where there is sound to cancel.
    """
    ratio = np.power(frequency / HIGH_PASS_HZ, 2 * HIGH_PASS_ORDER)
    return ratio / (1 + ratio)
