"""Design the control filter again on the headset, every half second, from the sound since the noise changed.

The cloud designs a filter from a snapshot of at most a second; the headset hears all that follows, and what
the filter leaves. The noise without control, d = e + S * y, contains the error of the measured path S times
the filter that played. Designs that follow each other reduce that error, as the steps of Newton's method do.

Reference: Elliott, Signal Processing for Active Control, 2001, section 3.3.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.dsp import Statistics
from anc.dsp.band_limit import BandLimit
from anc.dsp.design import ControlFilter, design_for_priors
from iot.fir import Signal
from iot.local_adaptation import CLIPPED, MIN_POWER

INTERVAL_S = 0.5  # between designs
LATEST_S = 1.0  # of sound on which a design is made and validated
EARLIER_S = 2.0  # of the same noise before that, its prior
SHORTEST_S = 0.25  # of either
COMPUTING_S = 0.128  # from the sound to its design: an estimate for a headset, see docs/dsp.md
MAX_LOSS_DB = 1.0  # predicted, against the filter that plays, which has already adapted to this sound
MAX_LIMITING_LOSS_DB = 6.0  # instead, against a filter that amplifies a third octave more, and by over 3 dB
SHORT_S = 0.75  # of a noise; a prediction from less is often wrong
MIN_SHORT_GAIN_DB = 3.0  # predicted from such a short noise, over the filter that plays
MIN_WITHOUT_DB = 1.0  # predicted, of a design without the earlier sound over one with it
MAX_ADVANTAGE_DB = 3.0  # of the filter that plays over one from the cloud, to be kept

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]  # reference x and noise without control d, each (n,)


class LocalDesign:
    """Record both microphones, and design a filter when one is due.

    A design takes tens of milliseconds, so it does not belong into the audio thread.

    Parameters
    ----------
    secondary : (m,) array_like
        Model S of the secondary path, tap 0 first.
    rate : int
        Hz.
    """

    def __init__(self, secondary: ArrayLike, rate: int) -> None:
        self._secondary = np.asarray(secondary, np.float64)
        self._rate = rate
        self._recorded = np.zeros((0, 2), np.float32)
        self._waited = 0

    def process(self, x: Signal, e: Signal, d: Signal) -> None:
        """Record a block of the reference, and of d, the noise without control; each (n,).

        Where the error microphone e is clipped, d is unknown, so what was recorded before is dropped.
        """
        self._waited += x.size
        if np.abs([x, e]).max() >= CLIPPED:
            self._recorded = self._recorded[:0]
            return
        block = np.stack([x, d], axis=1).astype(np.float32)
        longest = int((EARLIER_S + LATEST_S) * self._rate)
        self._recorded = np.concatenate([self._recorded, block])[-longest:]

    def design(self, playing: Signal, age: int) -> Signal | None:
        """Return a new filter, (taps,) float32, if one is due and predicted to be good enough.

        Parameters
        ----------
        playing : (taps,) ndarray
            Weights of the filter that plays.
        age : int
            Samples since the noise began.
        """
        if self._waited < INTERVAL_S * self._rate:
            return None
        earlier, latest = self._split(age)
        taps = playing.size
        if not self._suffices(latest, taps):
            return None
        self._waited = 0
        segments = Statistics.measure_segments(*latest, self._secondary, taps, self._rate, count=2)
        priors: list[Statistics | None] = [None]
        if self._suffices(earlier, taps):
            priors.append(Statistics.measure(*earlier, self._secondary, taps, self._rate))
        limit = BandLimit.measure(*latest, self._secondary, self._rate)
        design = _choose(design_for_priors(segments, priors, limit=limit))
        short = latest[0].size < SHORT_S * self._rate
        needed_db = sum(segments[1:], segments[0]).attenuation_db(playing)
        if short:
            needed_db += MIN_SHORT_GAIN_DB
        else:
            amplifies_less = limit.excess_db(design.taps) < limit.excess_db(playing)
            needed_db -= MAX_LIMITING_LOSS_DB if amplifies_less else MAX_LOSS_DB
        return design.taps if design.predicted_gain_db >= needed_db else None

    def better(self, sent: Signal, playing: Signal, age: int) -> Signal:
        """Return the filter that leaves less of the latest sound: the cloud's, or the one that plays.

        What plays also stays if it amplifies third octaves less; designs from statistics have no limits.
        A filter from the cloud that seems much worse is returned, too, to be judged by what it leaves.
        """
        _, latest = self._split(age)
        if sent.size != playing.size or not self._suffices(latest, sent.size):
            return sent
        sound = Statistics.measure(*latest, self._secondary, sent.size, self._rate)
        advantage_db = sound.attenuation_db(playing) - sound.attenuation_db(sent)
        limit = BandLimit.measure(*latest, self._secondary, self._rate)
        amplifies_less = limit.excess_db(playing) < limit.excess_db(sent)
        needed_db = -MAX_LIMITING_LOSS_DB if amplifies_less else 0.0
        return playing if needed_db < advantage_db <= MAX_ADVANTAGE_DB else sent

    def _split(self, age: int) -> tuple[Pair, Pair]:
        """Return the earlier and the latest sound of the present noise."""
        x, d = self._recorded[max(len(self._recorded) - age, 0) :].T.astype(np.float64)
        at = max(x.size - int(LATEST_S * self._rate), 0)
        return (x[:at], d[:at]), (x[at:], d[at:])

    def _suffices(self, sound: Pair, taps: int) -> bool:
        """Return whether sound is long enough for a filter and above the microphone's own noise."""
        x, _ = sound
        enough = x.size >= max(SHORTEST_S * self._rate, 2 * taps + 2)
        return bool(enough and np.vdot(x, x) > MIN_POWER * x.size)


def _choose(designs: list[ControlFilter]) -> ControlFilter:
    """Return the last design, with the earlier sound, unless the first, without it, is clearly better."""
    without, design = designs[0], designs[-1]
    clearly_better = without.predicted_gain_db > design.predicted_gain_db + MIN_WITHOUT_DB
    return without if clearly_better else design
