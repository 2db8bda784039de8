"""Identification of the secondary path from what the driver plays: a probe, or the listener's own music."""

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
        Model S of the path from driver to error microphone.
    fit_db : float
        How far S explains the microphone on sound it was not made from: 20 dB is an error of a tenth. Where
        the played sound has nothing, S is unknown and near zero.
    """

    impulse_response: Signal
    fit_db: float


def identify_secondary(
    played: ArrayLike, heard: ArrayLike, taps: int = 256, *, rate: float = 16_000
) -> SecondaryPath:
    """Least-squares model of the path between a played and a recorded signal.

    Noise at the microphone costs accuracy, not bias, as long as it does not follow what is played: identify
    while control is off, or play a probe.

    Parameters
    ----------
    played, heard : (n,) array_like, n >= 2 * taps + 2
        Signal to the driver and signal from the error microphone.
    taps : int
        Length of S.
    rate : float
        Hz, of both.

    Raises
    ------
    ValueError
        If the signals are unequal, not finite or too short.

    References
    ----------
    Kuo & Morgan, Active Noise Control Systems, 1996, section 3.4 (off-line modelling).
    """
    # With a path of one unit sample, what the optimal control filter would remove is what the path adds.
    r = design_control_filter(played, heard, [1.0], taps, rate=rate, max_gain_db=200.0)
    return SecondaryPath(r.taps, r.predicted_gain_db)
