"""Design of the control filter: the causal Wiener solution, as good as a fixed filter can be, and honest about it.

The filter that minimises E[(d - w * v)^2], v = S * x, solves the normal equations (R + lambda I) w = p. The
regularisation lambda is chosen by what each half of a snapshot says of the filter designed on the other half, and
that same figure is the predicted gain: no filter is judged on the samples it was made from.

Reference: Elliott, Signal Processing for Active Control, 2001, sections 2.3 and 3.3; Haykin, Adaptive Filter Theory,
5th ed., chapter 2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import checks
from anc.dsp.checks import Signal
from anc.dsp.statistics import DOUBLE, Statistics

REGULARISATION = (
    1e-5,
    1e-4,
    1e-3,
    1e-2,
    1e-1,
)  # candidates, as shares of the power of the filtered reference


@dataclass(frozen=True)
class ControlFilter:
    """A designed control filter.

    Attributes
    ----------
    taps : (taps,) float32 ndarray
        Weights; the first multiplies the newest sample.
    predicted_gain_db : float
        Attenuation to expect, in dB, judged on samples the filter was not made from.
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
    max_gain_db: float = 20.0,
) -> ControlFilter:
    """The optimal causal control filter for one snapshot.

    Parameters
    ----------
    x, d : (n,) array_like, n > 2 * taps
        Reference, and noise at the error microphone without control; `recover_primary` gives it while a filter plays.
    secondary : (m,) array_like
        Model S of the path from driver to error microphone, an impulse response.
    taps : int
        Length of the control filter.
    prior : Statistics, optional
        Of earlier snapshots, faded by `Statistics.forget` as the caller sees fit; they add to this one's.
    rate : float
        Hz, of the signals.
    max_gain_db : float
        Control effort: the filter's magnitude response stays below, so that no noise overloads the driver.

    Returns
    -------
    ControlFilter

    Raises
    ------
    ValueError
        If the signals are unequal, not finite or too short, or the prior is of other taps or rate.
    """
    x, d = checks.pair(x, d, DOUBLE)
    checks.whole("taps", taps, 1, (x.size - 1) // 2)
    middle = x.size // 2
    halves = [
        Statistics.measure(x[part], d[part], secondary, taps, rate)
        for part in (slice(middle), slice(middle, None))
    ]
    known = [half if prior is None else half + prior for half in halves]
    scores = [
        np.mean(
            [
                other.residual_db(solve(own, share, max_gain_db))
                for own, other in zip(known, halves[::-1], strict=True)
            ]
        )
        for share in REGULARISATION
    ]
    best = int(np.argmax(scores))
    everything = known[0] + halves[1]
    w = solve(everything, REGULARISATION[best], max_gain_db)
    return ControlFilter(w.astype(np.float32), float(scores[best]), everything, REGULARISATION[best])


def solve(statistics: Statistics, share: float, max_gain_db: float = 20.0) -> Signal:
    """Weights (taps,) for given statistics and regularisation, a share of the power of the filtered reference."""
    r = statistics.autocorrelation
    if r[0] <= 0:
        return np.zeros(r.size)
    index = np.abs(np.subtract.outer(np.arange(r.size), np.arange(r.size)))
    R = r[index]
    R.flat[:: r.size + 1] += share * r[0]
    w = np.linalg.solve(R, statistics.crosscorrelation)
    loudest = np.abs(np.fft.rfft(w, 4 * r.size)).max()
    return w * min(1.0, 10 ** (max_gain_db / 20) / loudest) if loudest > 0 else w


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
    x, e = checks.pair(x, e, DOUBLE)
    played = checks.number("gain", gain, -np.inf, np.inf) * np.convolve(
        checks.signal("w", w, DOUBLE), checks.signal("secondary", secondary, DOUBLE)
    )
    if x.size < played.size:
        raise ValueError(
            f"a snapshot of {x.size} samples is shorter than filter and path together, {played.size}"
        )
    heard = np.convolve(x, played, "valid")
    return x[played.size - 1 :], e[played.size - 1 :] + heard
