"""Design of the control filter: the causal Wiener solution, and an honest word on what it will do.

The filter that minimises E[(d - w * v)^2], v = S * x, solves the normal equations (R + lambda I) w = p. The
regularisation lambda is the one whose filters, each designed on one stretch of sound, do best on another, and
how well they do there is the predicted gain: no filter is judged on the samples it was made from.

References: Elliott, Signal Processing for Active Control, 2001, sections 2.3 and 3.3; Haykin, Adaptive Filter
Theory, 5th ed., chapter 2; Stone, "Cross-validatory choice", J. Royal Statistical Society B 36(2), 1974.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import validation
from anc.dsp.statistics import DOUBLE, Statistics
from anc.dsp.toeplitz import toeplitz_solve
from anc.dsp.validation import Signal

# Candidates for lambda, as shares of the power of the filtered reference.
REGULARISATION = np.array([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 10.0])
# What it takes to invert a driver that rolls off below 100 Hz: the causal inverse of that is an integrator.
MAX_GAIN_DB = 40.0


@dataclass(frozen=True)
class ControlFilter:
    """A designed control filter.

    Attributes
    ----------
    taps : (taps,) float32 ndarray
        Weights; the first multiplies the newest sample.
    predicted_gain_db : float
        Attenuation to expect, in dB, judged on sound that the judged filters were not made from.
    statistics : Statistics
        Of everything it was designed on, the prior included.
    regularisation : float
        The lambda chosen, as a share of the power of the filtered reference.
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
    """The optimal causal control filter for one snapshot.

    Parameters
    ----------
    x, d : (n,) array_like, n >= 2 * taps + 2
        Reference, and noise at the error microphone without control; `recover_primary` finds it while a
        filter plays.
    secondary : (m,) or (paths, m) array_like
        Model S of the path from driver to error microphone, an impulse response; of several, one filter for
        all.
    taps : int
        Length of the control filter.
    prior : Statistics, optional
        Of earlier snapshots, faded by `Statistics.forget` as the caller sees fit; they add to this one's.
    rate : float
        Hz, of the signals.
    max_gain_db : float
        Control effort: the filter's magnitude response stays below, lest the noise of tomorrow overload the
        driver.

    Raises
    ------
    ValueError
        If the signals are unequal, not finite or too short, or the prior is of other taps or rate.
    """
    halves = Statistics.measure_segments(x, d, secondary, taps, rate, count=2)
    return design_from_statistics(halves, prior, max_gain_db=max_gain_db)


def design_from_statistics(
    stretches: Sequence[Statistics], prior: Statistics | None = None, *, max_gain_db: float = MAX_GAIN_DB
) -> ControlFilter:
    """The optimal causal control filter for sound that is known by its statistics only.

    Parameters
    ----------
    stretches : sequence of Statistics
        Of different stretches of time: each tests what the others and the prior teach. A single one without a
        prior leaves nothing to test on; the prediction is then reduced by what so many taps learn by heart.
    prior, max_gain_db
        As for `design_control_filter`.
    """
    return design_for_priors(stretches, [prior], max_gain_db=max_gain_db)[0]


def design_for_priors(
    stretches: Sequence[Statistics],
    priors: Sequence[Statistics | None],
    *,
    max_gain_db: float = MAX_GAIN_DB,
) -> list[ControlFilter]:
    """One design as of `design_from_statistics` for each prior, in less time than one by one."""
    trials = [_Trial.of(stretches, prior) for prior in priors]
    designs = iter(solve([lesson for trial in trials for lesson in trial.training], max_gain_db))
    return [trial.select([next(designs) for _ in trial.training]) for trial in trials]


@dataclass(frozen=True)
class _Trial:
    """What filters are designed on, and the stretches that test them; the last design is on everything."""

    training: Sequence[Statistics]
    validation: Sequence[Statistics]

    @classmethod
    def of(cls, stretches: Sequence[Statistics], prior: Statistics | None) -> "_Trial":
        everything = total(stretches, prior)
        if len(stretches) == 1 and prior is None:
            return cls([everything, everything], [everything])
        others = [[one for one in stretches if one is not test] for test in stretches]
        return cls([*(total(some, prior) for some in others), everything], stretches)

    def select(self, designs: Sequence[Signal]) -> ControlFilter:
        left = np.zeros(REGULARISATION.size)
        for filters, lesson, test in zip(designs, self.training, self.validation, strict=False):
            left += [
                test.residual(w) * (fpe_factor(lesson, share) if test is lesson else 1.0)
                for w, share in zip(filters, REGULARISATION, strict=True)
            ]
        best = int(np.argmin(left))
        energy = sum(test.energy for test in self.validation)
        gain = -10 * np.log10(max(left[best] / energy, 1e-12)) if energy > 0 else 0.0
        w = designs[-1][best].astype(np.float32)
        return ControlFilter(w, float(gain), self.training[-1], float(REGULARISATION[best]))


def total(stretches: Sequence[Statistics], prior: Statistics | None) -> Statistics:
    """Statistics of all stretches and the prior together."""
    first, *others = [*stretches, *([] if prior is None else [prior])]
    for other in others:
        first = first + other
    return first


def fpe_factor(statistics: Statistics, share: float) -> float:
    """How much more a filter leaves of new sound than of the sound it was designed on, as a factor of energy.

    Of n samples, a filter with the effective number of parameters f = trace(R (R + lambda I)^-1) learns by
    heart about f on the sound it was made from and misses about as much on any other (Akaike's final
    prediction error).
    """
    r = statistics.autocorrelation
    # Eigenvalues of a Toeplitz matrix are nearly its spectrum; the triangular window keeps that positive.
    spectrum = np.fft.hfft(r * np.linspace(1, 0, r.size, endpoint=False))
    eigenvalues = np.maximum(spectrum, 0)
    parameters = r.size * np.mean(eigenvalues / (eigenvalues + share * r[0])) if r[0] > 0 else 0.0
    return (statistics.samples + parameters) / max(statistics.samples - parameters, 1.0)


def solve(training: Sequence[Statistics], max_gain_db: float) -> Signal:
    """Filters, (lessons, candidates, taps), for every regularisation, no louder than the limit."""
    r = np.array([one.autocorrelation for one in training])
    p = np.array([one.crosscorrelation for one in training])
    taps = r.shape[1]
    R = np.repeat(r[:, None], REGULARISATION.size, axis=1)
    # In silence any filter is right, and the one of zeros is chosen: power 1 instead of 0 makes it the
    # solution.
    R[..., 0] = np.where(r[:, :1] > 0, r[:, :1] * (1 + REGULARISATION), 1.0)
    w = toeplitz_solve(R.reshape(-1, taps), np.repeat(p, REGULARISATION.size, axis=0)).reshape(R.shape)
    loudest = np.abs(np.fft.rfft(w, 4 * taps)).max(-1, keepdims=True)
    return w * np.minimum(1.0, 10 ** (max_gain_db / 20) / np.maximum(loudest, 1e-30))


def peak_gain_db(w: ArrayLike) -> float:
    """The most that filter `w` boosts any frequency, in dB, as `max_gain_db` bounds it."""
    w = validation.check_signal("w", w, DOUBLE)
    return float(20 * np.log10(max(np.abs(np.fft.rfft(w, 4 * w.size)).max(), 1e-30)))


def recover_primary(
    x: ArrayLike, e: ArrayLike, w: ArrayLike, secondary: ArrayLike, gain: float = 1.0
) -> tuple[Signal, Signal]:
    """The noise as it would be without control, from a snapshot taken while a filter was playing.

    d = e + S * (gain w * x), less the transient at the start, whose history the snapshot does not hold.

    Parameters
    ----------
    x, e : (n,) array_like
        Reference and error microphone.
    w : (taps,) array_like
        Control filter that was in use.
    secondary : (m,) array_like
        Model S of the secondary path.
    gain : float
        Intensity at which the filter played; 0 when it did not.

    Returns
    -------
    x, d : (n - taps - m + 2,) float64
        Both without the transient.

    Raises
    ------
    ValueError
        If the signals are unequal, not finite, or no longer than the transient.
    """
    x, e = validation.check_pair(x, e, DOUBLE)
    played = validation.check_float("gain", gain, -np.inf, np.inf) * np.convolve(
        validation.check_signal("w", w, DOUBLE), validation.check_signal("secondary", secondary, DOUBLE)
    )
    if x.size < played.size:
        raise ValueError(
            f"a snapshot of {x.size} samples is shorter than filter and path together, {played.size}"
        )
    heard = np.convolve(x, played, "valid")
    return x[played.size - 1 :], e[played.size - 1 :] + heard
