"""Sufficient statistics of a noise at a headset: what the design of a control filter needs, without audio.

With the filtered reference v = S * x, a control filter w leaves the residual e = d - w * v, and::

    E[e^2] = E[d^2] - 2 w . p + w . R w
    R = toeplitz(r)        r[k] = E[v[n] v[n-k]]        p[k] = E[d[n] v[n-k]]

so r, p and the power of d determine the residual of every filter of up to as many taps. Statistics of several
snapshots can be added. Encoded, they take about 4 KB at 512 taps, in storage about half of that.
"""

import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import validation
from anc.dsp.convolution import fft_filter
from anc.dsp.state import kind_of, pack, unpack
from anc.dsp.toeplitz import toeplitz_times
from anc.dsp.validation import Signal

KIND, STORED_KIND = "stats", "stats24"
STEPS = 2**23 - 1  # of a stored correlation: as fine as float32 at the largest value
DIFFERENCES = 3  # sounds have little power near half the rate, so these are much smaller
MAX_STORED_TAPS = 8192
DOUBLE = np.dtype(np.float64)
HIGH_PASS_HZ = 20.0  # headsets with a good seal reduce noise from there on
MIN_CYCLES = 6.5  # of a frequency in a segment; fewer say nothing about it
HIGH_PASS_ORDER = 2
ROUNDING_TOLERANCE = 1e-3  # relative, for values that were rounded to float32


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
        Number of samples summed; those at the edges, and all after `decayed`, count in part.
    rate : float
        Sample rate, Hz.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(4000)
    >>> statistics = Statistics.measure(x, 0.5 * x, secondary=[1.0], taps=16)
    >>> float(round(statistics.attenuation_db([0.25]), 1))
    6.0
    """

    autocorrelation: Signal
    crosscorrelation: Signal
    energy: float
    samples: float
    rate: float

    @classmethod
    def measure(
        cls,
        x: ArrayLike,
        d: ArrayLike,
        secondary: ArrayLike,
        taps: int = 512,
        rate: float = 16_000,
        *,
        lower_limit_hz: float = HIGH_PASS_HZ,
    ) -> Self:
        """Return the statistics of one snapshot, high-passed at 20 Hz, or above for short ones.

        Parameters
        ----------
        x, d : (n,) array_like, n > taps
            Reference, and noise at the error microphone without control; see `recover_primary`.
        secondary : (m,) or (paths, m) array_like
            Model S of the path from driver to error microphone: impulse response, tap 0 first. For several
            paths, such as several fits, the statistics are summed over the paths.
        taps : int
            Maximum length of the control filters to design or evaluate.
        rate : float
            Sample rate of both signals, Hz.
        lower_limit_hz : float
            Lowest frequency at which the driver works. The noise below it does not count, but the anti-noise
            does: there, the filter is quiet instead of free.

        Raises
        ------
        ValueError
            If the signals are unequal, not finite, or no longer than the filter.
        """
        return cls.measure_segments(x, d, secondary, taps, rate, count=1, lower_limit_hz=lower_limit_hz)[0]

    @classmethod
    def measure_segments(
        cls,
        x: ArrayLike,
        d: ArrayLike,
        secondary: ArrayLike,
        taps: int,
        rate: float,
        *,
        count: int,
        lower_limit_hz: float = HIGH_PASS_HZ,
    ) -> list[Self]:
        """Return one `measure` result for each of `count` equal segments, for cross-validation."""
        x, d = validation.check_pair(x, d, DOUBLE)
        taps = validation.check_int("taps", taps, 1, x.size // count - 1)
        rate = validation.check_float("rate", rate, 2 * HIGH_PASS_HZ, 1e6)
        paths = np.atleast_2d(np.asarray(secondary, DOUBLE))
        v = np.array([fft_filter(validation.check_signal("secondary", S, DOUBLE), x) for S in paths])
        length = x.size // count
        # Zero padding prevents circular wrap-around of correlations and high-pass.
        size = 1 << (2 * length - 1).bit_length()
        hz = np.fft.rfftfreq(size, 1 / rate)
        corner = max(HIGH_PASS_HZ, MIN_CYCLES * rate / length)
        of_anti_noise = high_pass_power(hz, corner)
        of_noise = high_pass_power(hz, max(corner, lower_limit_hz))
        window = tukey_window(length)
        samples = len(paths) * float(window @ window)
        segments = []
        for start in range(0, count * length, length):
            V = np.fft.rfft(window * v[:, start : start + length], size)
            D = np.fft.rfft(window * d[start : start + length], size)
            r, p, energy = (
                np.fft.irfft(weight * spectrum)[:taps]
                for weight, spectrum in (
                    (of_anti_noise, np.square(np.abs(V)).sum(0)),
                    (of_noise, D * V.conj().sum(0)),
                    (of_noise, np.square(np.abs(D))),
                )
            )
            segments.append(cls(r, p, len(paths) * float(energy[0]), samples, rate))
        return segments

    @property
    def taps(self) -> int:
        """Maximum length of control filters that these statistics evaluate."""
        return self.autocorrelation.size

    def __add__(self, other: "Statistics") -> "Statistics":
        """Return the sum of both. Raises ValueError if their lengths or rates differ."""
        if (self.taps, self.rate) != (other.taps, other.rate):
            raise ValueError(
                f"statistics of {other.taps} taps at {other.rate:g} Hz cannot be added to "
                f"statistics of {self.taps} taps at {self.rate:g} Hz"
            )
        return Statistics(
            self.autocorrelation + other.autocorrelation,
            self.crosscorrelation + other.crosscorrelation,
            self.energy + other.energy,
            self.samples + other.samples,
            self.rate,
        )

    def decayed(self, factor: float) -> "Statistics":
        """Return the statistics weighted by `factor`, 0 to 1."""
        factor = validation.check_float("factor", factor, 0.0, 1.0)
        return Statistics(
            factor * self.autocorrelation,
            factor * self.crosscorrelation,
            factor * self.energy,
            factor * self.samples,
            self.rate,
        )

    def rescaled(self, other: "Statistics", seconds: float) -> "Statistics":
        """Return the statistics scaled to the level of `other` and to the weight of `seconds` of sound."""
        target = other.energy * seconds * other.rate / max(other.samples, 1.0)
        factor = target / self.energy if self.energy > 0 else 0.0
        return Statistics(
            factor * self.autocorrelation,
            factor * self.crosscorrelation,
            factor * self.energy,
            seconds * other.rate,
            self.rate,
        )

    def attenuation_db(self, w: ArrayLike) -> float:
        """Return the attenuation in dB of control filter `w`, (m,) with m <= taps, on these statistics.

        Negative if the filter amplifies, 0 for silence. For a filter designed on the same statistics the
        value is too high because of overfitting; use `ControlFilter.predicted_gain_db` instead.
        """
        if self.energy <= 0:
            return 0.0
        return float(-10 * np.log10(max(self.residual(w) / self.energy, 1e-12)))

    def residual(self, w: ArrayLike) -> float:
        """Return the energy of e = d - w * v for control filter `w`, (m,) with m <= taps."""
        w = validation.check_signal("w", w, DOUBLE)
        validation.check_int("taps of w", w.size, 1, self.taps)
        explained = 2 * w @ self.crosscorrelation[: w.size]
        return float(self.energy - explained + w @ toeplitz_times(self.autocorrelation[: w.size], w))

    def to_bytes(self) -> bytes:
        """Return the statistics as bytes, about 8 per tap: float32 correlations with version and checksum."""
        vectors = [self.autocorrelation.astype(np.float32), self.crosscorrelation.astype(np.float32)]
        return pack(KIND, (self.energy, self.samples, self.rate), vectors)

    def to_stored_bytes(self) -> bytes:
        """Return the statistics as bytes for a record: 24 bits per value, compressed to about 4 per tap.

        Both correlations are rounded to steps of their maximum: the error is white, and 140 dB below it.
        """
        scales, planes = [], []
        for vector in (self.autocorrelation, self.crosscorrelation):
            scale = float(np.abs(vector).max()) or 1.0
            steps = np.rint(STEPS * vector / scale).astype(np.int64)
            small = np.diff(steps, DIFFERENCES, prepend=np.zeros(DIFFERENCES, np.int64))
            unsigned = (small << 1 ^ small >> 63).astype("<u4")
            scales.append(scale)
            planes.append(unsigned.view(np.uint8).reshape(-1, 4).T.tobytes())  # high bytes are mostly zero
        packed = np.frombuffer(zlib.compress(b"".join(planes), 9), np.uint8)
        return pack(STORED_KIND, (self.energy, self.samples, self.rate, self.taps, *scales), [packed])

    @classmethod
    def from_stored_bytes(cls, data: bytes) -> Self:
        """Decode `to_stored_bytes`, or `to_bytes` of a record of an earlier version. Raises ValueError."""
        if kind_of(data) != STORED_KIND:
            return cls.from_bytes(data)
        (energy, samples, rate, taps, *scales), (packed,) = unpack(STORED_KIND, data)
        if not 0 < taps <= MAX_STORED_TAPS:
            raise ValueError("statistics: the number of taps is impossible")
        try:
            planes = zlib.decompressobj().decompress(packed.tobytes(), 8 * int(taps))
        except zlib.error as fault:
            raise ValueError("statistics: cannot be decompressed") from fault
        if len(planes) != 8 * taps:
            raise ValueError("statistics: the number of values is not that of the taps")
        vectors = []
        for plane, scale in zip(np.split(np.frombuffer(planes, np.uint8), 2), scales, strict=True):
            unsigned = np.ascontiguousarray(plane.reshape(4, -1).T).view("<u4")[:, 0].astype(np.int64)
            small = unsigned >> 1 ^ -(unsigned & 1)
            for _ in range(DIFFERENCES):
                small = np.cumsum(small)
            vectors.append(scale / STEPS * small)
        return cls._checked(vectors[0], vectors[1], energy, samples, rate)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode `to_bytes`.

        Raises
        ------
        ValueError
            If the bytes are damaged, or the values are not finite or impossible for any sound, such as
            correlations that violate the Cauchy-Schwarz inequality.
        """
        (energy, samples, rate), (r, p) = unpack(KIND, data)
        return cls._checked(r, p, energy, samples, rate)

    @classmethod
    def _checked(cls, r: Signal, p: Signal, energy: float, samples: float, rate: float) -> Self:
        """Return the statistics. Raises ValueError if they are not finite, or of no sound."""
        sane = r.size == p.size > 0 and r[0] >= 0 and rate > 0
        if not sane or not np.isfinite([energy, samples, rate]).all() or min(energy, samples) < 0:
            raise ValueError("statistics: lengths, energy, sample count or rate are inconsistent")
        r, p = (
            validation.check_signal("autocorrelation", r, DOUBLE),
            validation.check_signal("crosscorrelation", p, DOUBLE),
        )
        power = (1 + ROUNDING_TOLERANCE) * (r[0] + np.finfo(np.float32).tiny)
        if np.abs(r).max() > power or np.abs(p).max() > np.sqrt(power) * np.sqrt(energy):
            raise ValueError("statistics: the correlations exceed the limit given by the energies")
        return cls(r, p, energy, samples, rate)


def tukey_window(n: int) -> Signal:
    """Return a window, (n,), with cosine tapers over an eighth of its length at either end.

    At a hard edge, d contains the response to samples of v before the segment. That limits the attenuation
    that the statistics can show: to 27 dB for a path of 30 samples in a segment of 16,000.
    """
    edge = np.sin(np.pi / 2 * (np.arange(n // 8) + 0.5) / max(n // 8, 1)) ** 2
    return np.concatenate([edge, np.ones(n - 2 * edge.size), edge[::-1]])


def high_pass_power(frequency: Signal, corner_hz: float = HIGH_PASS_HZ) -> Signal:
    """Return the squared magnitude of a Butterworth high-pass, for `frequency` in Hz.

    Applied to spectra it weights v and d equally and without phase, so the optimal filter stays causal and is
    unchanged in the pass band.
    """
    ratio = np.power(frequency / corner_hz, 2 * HIGH_PASS_ORDER)
    return ratio / (1 + ratio)
