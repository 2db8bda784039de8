"""A ring buffer of the microphone signals, and the snapshots made from it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.dsp import Statistics, onset
from anc.noise import summary
from anc.pcm import MAX_INT16, float_to_int16, int16_to_float
from anc.schemas.refusal import Refused
from anc.schemas.snapshot import Snapshot, check_clipping
from iot.controller import ActiveFilter
from iot.fir import Signal

CLIPPED = MAX_INT16 / 32768


class SnapshotRecorder:
    """Record the last `length` samples of both microphones.

    Parameters
    ----------
    length : int
        Maximum number of samples of a snapshot.
    secondary : (m,) array_like
        Model S of the secondary path.
    taps : int
        Length of the control filter, for statistics.
    rate : int
        Hz.
    """

    def __init__(self, length: int, secondary: ArrayLike, taps: int, rate: int) -> None:
        self._secondary = np.asarray(secondary, np.float64)
        self._taps = taps
        self._rate = rate
        self._recent = np.zeros((length, 2), np.float32)
        self._clipped = np.zeros((length, 2), np.bool_)

    def process(self, x: Signal, e: Signal, d: Signal) -> None:
        """Record a block of the reference x and of d, the noise without control as the headset knows it.

        Where the error microphone e is clipped, d is unknown.
        """
        length = len(self._recent)
        self._recent = np.concatenate([self._recent, np.stack([x, d], 1).astype(np.float32)])[-length:]
        clipped = np.abs(np.stack([x, e], 1)) >= CLIPPED
        self._clipped = np.concatenate([self._clipped, clipped])[-length:]

    def snapshot(self, seq: int, active: ActiveFilter, samples: int, private: bool) -> Snapshot:
        """Return a snapshot of the last samples, as PCM or, if private, as statistics and a summary.

        It names the filter `active` at gain 0: its second channel is d, whatever played meanwhile.

        Raises
        ------
        Refused
            Only if private: `clipped`, since the platform cannot detect clipping from statistics, or
            `bad_field`, when the sound is too short for statistics.
        """
        pcm = self._to_pcm(samples)
        header = (seq, self._rate, len(pcm), active.filter_id, 0.0)
        if not private:
            return Snapshot(*header, pcm=pcm)
        check_clipping(pcm)
        signals = int16_to_float(pcm).astype(np.float64)
        x, d = signals.T
        try:
            start = onset(x)
            statistics = Statistics.measure(x[start:], d[start:], self._secondary, self._taps, self._rate)
        except ValueError as fault:
            raise Refused("bad_field", f"snapshot: {fault}") from fault
        noise = np.resize(signals[onset(signals[:, 0]) :, 0], len(pcm))  # repeated to the full length
        return Snapshot(*header, statistics=statistics.to_bytes(), summary=summary(noise, self._rate))

    def _to_pcm(self, samples: int) -> NDArray[np.int16]:
        """Return the last samples as PCM, (samples, 2), clipped only where a microphone was.

        With control, d can exceed full scale while both microphones do not. Both channels are then attenuated
        alike, which changes no filter that is designed on them.
        """
        signals, clipped = self._recent[-samples:], self._clipped[-samples:]
        peak = np.abs(signals[~clipped]).max(initial=1.0)
        return float_to_int16(np.where(clipped, np.sign(signals), signals / peak))
