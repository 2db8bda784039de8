"""Identification of the secondary path from a probe signal or from music that the driver plays."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from anc.dsp.design import design_control_filter
from anc.dsp.validation import Signal


@dataclass(frozen=True)
class SecondaryPath:
    """An identified secondary path.

    Attributes
    ----------
    impulse_response : (taps,) float32 ndarray
        Model S of the path from driver to error microphone, tap 0 first.
    fit_db : float
        Ratio of microphone signal to model error on validation data, dB: 20 dB is an amplitude error of one
        tenth. At frequencies that the played sound does not contain, S is undetermined and near zero.
    """

    impulse_response: Signal
    fit_db: float


def identify_secondary(
    played: ArrayLike, recorded: ArrayLike, taps: int = 256, *, rate: float = 16_000
) -> SecondaryPath:
    """Estimate the path between a played and a recorded signal by least squares.

    Noise at the microphone adds variance but no bias as long as it is uncorrelated with the played signal:
    identify while control is off, or play a probe.

    Parameters
    ----------
    played, recorded : (n,) array_like, n >= 2 * taps + 2
        Signal to the driver and signal from the error microphone.
    taps : int
        Length of S.
    rate : float
        Sample rate of both, Hz.

    Raises
    ------
    ValueError
        If the signals are unequal, not finite or too short.

    References
    ----------
    Kuo & Morgan, Active Noise Control Systems, 1996, section 3.4 (off-line modelling).

    Examples
    --------
    >>> played = np.random.default_rng(0).standard_normal(8000)
    >>> path = identify_secondary(played, np.convolve(played, [0.0, 0.5, 0.25])[:8000], taps=4)
    >>> np.abs(path.impulse_response).round(2).tolist()
    [0.0, 0.5, 0.25, 0.0]
    """
    # With a secondary path of one unit sample, the optimal control filter is the path itself.
    r = design_control_filter(played, recorded, [1.0], taps, rate=rate, max_gain_db=200.0)
    return SecondaryPath(r.taps, r.predicted_gain_db)
