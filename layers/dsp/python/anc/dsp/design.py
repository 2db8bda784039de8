"""Design of the control filter: the causal Wiener solution with a cross-validated prediction of its gain.

The filter that minimises E[(d - w * v)^2], v = S * x, solves the normal equations (R + lambda I) w = p. The
regularisation lambda and the predicted gain are found by cross-validation: each filter is evaluated on a
segment of sound that it was not designed on.

References: Elliott, Signal Processing for Active Control, 2001, sections 2.3 and 3.3; Haykin, Adaptive Filter
Theory, 5th ed., chapter 2; Stone, "Cross-validatory choice", J. Royal Statistical Society B 36(2), 1974.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import validation
from anc.dsp.band_limit import BandLimit
from anc.dsp.statistics import DOUBLE, Statistics
from anc.dsp.toeplitz import toeplitz_solve
from anc.dsp.validation import Signal

# Candidates for lambda, relative to the power of the filtered reference.
REGULARISATION = np.array([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 10.0])
# Enough to invert a driver that rolls off below 100 Hz, whose causal inverse is an integrator.
MAX_GAIN_DB = 40.0


@dataclass(frozen=True)
class ControlFilter:
    """A designed control filter.

    Attributes
    ----------
    taps : (taps,) float32 ndarray
        Weights, tap 0 first.
    predicted_gain_db : float
        Expected attenuation in dB, from cross-validation.
    statistics : Statistics
        Of all sound that the filter was designed on, the prior included.
    regularisation : float
        The chosen lambda, relative to the power of the filtered reference.
    """

    taps: Signal
    predicted_gain_db: float
    statistics: Statistics
    regularisation: float


def design_control_filter(
    x: ArrayLike,
    d: ArrayLike,
    secondary: ArrayLike,
    taps: int = 512,
    prior: Statistics | None = None,
    *,
    rate: float = 16_000,
    max_gain_db: float = MAX_GAIN_DB,
) -> ControlFilter:
    """Design the optimal causal control filter for one snapshot.

    Parameters
    ----------
    x, d : (n,) array_like, n >= 2 * taps + 2
        Reference, and noise at the error microphone without control. If a filter was playing, get d from
        `recover_primary`.
    secondary : (m,) or (paths, m) array_like
        Model S of the path from driver to error microphone: impulse response, tap 0 first. For several
        paths, one filter is designed for all.
    taps : int
        Length of the control filter.
    prior : Statistics, optional
        Of earlier snapshots, weighted with `Statistics.decayed`; added to those of this snapshot.
    rate : float
        Sample rate, Hz.
    max_gain_db : float
        Limit of the filter's magnitude response, so that a louder noise does not overload the driver.

    Raises
    ------
    ValueError
        If the signals are of unequal length, not finite or too short, or the prior has other taps or rate.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(4000)
    >>> d = np.convolve(x, [0.0, 0.0, 0.5])[:4000]
    >>> np.abs(design_control_filter(x, d, secondary=[0.0, 1.0], taps=4).taps).round(2).tolist()
    [0.0, 0.5, 0.0, 0.0]
    """
    halves = Statistics.measure_segments(x, d, secondary, taps, rate, count=2)
    limit = BandLimit.measure(x, d, secondary, rate)
    return design_for_priors(halves, [prior], max_gain_db=max_gain_db, limit=limit)[0]


def design_from_statistics(
    segments: Sequence[Statistics], prior: Statistics | None = None, *, max_gain_db: float = MAX_GAIN_DB
) -> ControlFilter:
    """Design the optimal causal control filter from statistics.

    Parameters
    ----------
    segments : sequence of Statistics
        Of different segments of time. Each one validates filters designed on the others and the prior. With a
        single segment and no prior, the predicted gain is corrected for overfitting (see `fpe_factor`).
    prior, max_gain_db
        As for `design_control_filter`.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(4000)
    >>> statistics = Statistics.measure(x, 0.5 * x, secondary=[1.0], taps=4)
    >>> np.abs(design_from_statistics([statistics]).taps).round(2).tolist()
    [0.5, 0.0, 0.0, 0.0]
    """
    return design_for_priors(segments, [prior], max_gain_db=max_gain_db)[0]


def design_for_priors(
    segments: Sequence[Statistics],
    priors: Sequence[Statistics | None],
    *,
    max_gain_db: float = MAX_GAIN_DB,
    limit: BandLimit | None = None,
) -> list[ControlFilter]:
    """Return one `design_from_statistics` result for each prior, computed together for speed.

    With `limit`, measured on the sound of the segments, no filter amplifies a third octave of it by more than
    2 dB, if that is possible. Statistics alone do not determine the residual of a band.

    >>> x = np.random.default_rng(0).standard_normal(4000)
    >>> statistics = Statistics.measure(x, 0.5 * x, secondary=[1.0], taps=4)
    >>> len(design_for_priors([statistics], [None, statistics]))
    2
    """
    trials = [_CrossValidation.of(segments, prior) for prior in priors]
    designs = iter(solve([training for trial in trials for training in trial.training], max_gain_db))
    chosen = [trial.select([next(designs) for _ in trial.training]) for trial in trials]
    return chosen if limit is None else [_limited(design, limit, max_gain_db) for design in chosen]


def _limited(design: ControlFilter, limit: BandLimit, max_gain_db: float) -> ControlFilter:
    """Return the design with limited amplification; the prediction changes as on the design's own sound."""
    before = design.taps.astype(DOUBLE)
    after = limit.apply(before, design.statistics, design.regularisation)
    if after is before:
        return design
    w = limit_gain(after, max_gain_db).astype(np.float32)
    change = design.statistics.attenuation_db(w) - design.statistics.attenuation_db(before)
    return replace(design, taps=w, predicted_gain_db=design.predicted_gain_db + change)


@dataclass(frozen=True)
class _CrossValidation:
    """Training and validation statistics of each fold; the last training set holds everything."""

    training: Sequence[Statistics]
    validation: Sequence[Statistics]

    @classmethod
    def of(cls, segments: Sequence[Statistics], prior: Statistics | None) -> "_CrossValidation":
        everything = total(segments, prior)
        if len(segments) == 1 and prior is None:
            return cls([everything, everything], [everything])
        folds = [[one for one in segments if one is not held_out] for held_out in segments]
        return cls([*(total(fold, prior) for fold in folds), everything], segments)

    def select(self, designs: Sequence[Signal]) -> ControlFilter:
        """Return the filter of the regularisation with the smallest validation residual."""
        residual = np.zeros(REGULARISATION.size)
        for filters, training, held_out in zip(designs, self.training, self.validation, strict=False):
            residual += [
                held_out.residual(w) * (fpe_factor(training, ratio) if held_out is training else 1.0)
                for w, ratio in zip(filters, REGULARISATION, strict=True)
            ]
        best = int(np.argmin(residual))
        energy = sum(held_out.energy for held_out in self.validation)
        gain = -10 * np.log10(max(residual[best] / energy, 1e-12)) if energy > 0 else 0.0
        w = designs[-1][best].astype(np.float32)
        return ControlFilter(w, float(gain), self.training[-1], float(REGULARISATION[best]))


def total(segments: Sequence[Statistics], prior: Statistics | None) -> Statistics:
    """Return the sum of all segments and the prior."""
    first, *others = [*segments, *([] if prior is None else [prior])]
    for other in others:
        first = first + other
    return first


def fpe_factor(statistics: Statistics, regularisation: float) -> float:
    """Return the expected ratio of residual energy on new sound to that on the design's own sound.

    This is Akaike's final prediction error, (n + f) / (n - f), for n samples and f effective parameters, f =
    trace(R (R + lambda I)^-1).
    """
    r = statistics.autocorrelation
    # The eigenvalues of a Toeplitz matrix approach its spectrum; the triangular window keeps that positive.
    spectrum = np.fft.hfft(r * np.linspace(1, 0, r.size, endpoint=False))
    eigenvalues = np.maximum(spectrum, 0)
    parameters = r.size * np.mean(eigenvalues / (eigenvalues + regularisation * r[0])) if r[0] > 0 else 0.0
    return (statistics.samples + parameters) / max(statistics.samples - parameters, 1.0)


def solve(training: Sequence[Statistics], max_gain_db: float) -> Signal:
    """Return the filters, (statistics, regularisations, taps), scaled to stay below `max_gain_db`."""
    r = np.array([one.autocorrelation for one in training])
    p = np.array([one.crosscorrelation for one in training])
    taps = r.shape[1]
    R = np.repeat(r[:, None], REGULARISATION.size, axis=1)
    # Silence has no unique solution; a power of 1 in place of 0 yields a filter of zeros.
    R[..., 0] = np.where(r[:, :1] > 0, r[:, :1] * (1 + REGULARISATION), 1.0)
    w = toeplitz_solve(R.reshape(-1, taps), np.repeat(p, REGULARISATION.size, axis=0)).reshape(R.shape)
    return limit_gain(w, max_gain_db)


def limit_gain(w: Signal, max_gain_db: float) -> Signal:
    """Return filters, (..., taps), scaled so that no magnitude response exceeds `max_gain_db`."""
    peak = np.abs(np.fft.rfft(w, 4 * w.shape[-1])).max(-1, keepdims=True)
    return w * np.minimum(1.0, 10 ** (max_gain_db / 20) / np.maximum(peak, 1e-30))


def peak_gain_db(w: ArrayLike) -> float:
    """Return the peak of the magnitude response of filter `w` in dB, which `max_gain_db` limits.

    >>> float(round(peak_gain_db([2.0, 0.0]), 1))
    6.0
    """
    w = validation.check_signal("w", w, DOUBLE)
    return float(20 * np.log10(max(np.abs(np.fft.rfft(w, 4 * w.size)).max(), 1e-30)))


def recover_primary(
    x: ArrayLike, e: ArrayLike, w: ArrayLike, secondary: ArrayLike, gain: float = 1.0
) -> tuple[Signal, Signal]:
    """Recover the noise without control from a snapshot taken while a filter was playing.

    d = e + S * (gain w * x). The transient at the start, which depends on earlier samples, is cut off.

    Parameters
    ----------
    x, e : (n,) array_like
        Reference and error microphone.
    w : (taps,) array_like
        Control filter that was playing.
    secondary : (m,) array_like
        Model S of the secondary path, tap 0 first.
    gain : float
        Intensity at which the filter played; 0 if none did.

    Returns
    -------
    x, d : (n - taps - m + 2,) float64
        Reference and noise without control, without the transient.

    Raises
    ------
    ValueError
        If the signals are of unequal length, not finite, or no longer than the transient.

    Examples
    --------
    >>> x, d = recover_primary([1.0, 2.0, 3.0], [0.5, 1.0, 1.5], w=[0.5], secondary=[1.0])
    >>> d.tolist()
    [1.0, 2.0, 3.0]
    """
    x, e = validation.check_pair(x, e, DOUBLE)
    response = validation.check_float("gain", gain, -np.inf, np.inf) * np.convolve(
        validation.check_signal("w", w, DOUBLE), validation.check_signal("secondary", secondary, DOUBLE)
    )
    if x.size < response.size:
        raise ValueError(
            f"the snapshot must have at least {response.size} samples, as filter and path together "
            f"(got {x.size})"
        )
    antinoise = np.convolve(x, response, "valid")
    return x[response.size - 1 :], e[response.size - 1 :] + antinoise
