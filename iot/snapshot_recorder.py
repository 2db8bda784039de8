"""The last second of what the microphones heard, and the snapshots that are made of it."""

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import Statistics, onset, recover_primary
from anc.noise import summary
from anc.pcm import float_to_int16, int16_to_float
from anc.schemas.refusal import Refused
from anc.schemas.snapshot import Snapshot, check_clipping
from iot.controller import ActiveFilter, Block


class SnapshotRecorder:
    """Remembers as much as a snapshot holds.

    Parameters
    ----------
    length : int
        Samples.
    secondary : (m,) array_like
        Model S of the secondary path.
    taps : int
        Of the control filter, what statistics are made for.
    rate : int
        Hz.
    """

    def __init__(self, length: int, secondary: ArrayLike, taps: int, rate: int) -> None:
        self._secondary = np.asarray(secondary, np.float64)
        self._taps = taps
        self._rate = rate
        self._recent = np.zeros((length, 2), np.int16)

    def process(self, block: Block) -> None:
        """Take a block."""
        pcm = float_to_int16(np.stack([block.x, block.e], 1))
        self._recent = np.concatenate([self._recent, pcm])[-self._recent.shape[0] :]

    def snapshot(self, seq: int, active: ActiveFilter, samples: int, private: bool) -> Snapshot:
        """Return the last samples, all with this voice playing; or in private what is told of them.

        Raises
        ------
        Refused
            `clipped` or `bad_field`, in private: from statistics the platform could not see that they are of
            clipped sound, and of too little sound there are none.
        """
        pcm = self._recent[-samples:]
        header = (seq, self._rate, len(pcm), active.filter_id, active.gain)
        if not private:
            return Snapshot(*header, pcm=pcm)
        check_clipping(pcm)
        heard = int16_to_float(pcm).astype(np.float64)
        try:
            x, d = recover_primary(heard[:, 0], heard[:, 1], active.w, self._secondary, active.gain)
            begun = onset(x)
            statistics = Statistics.measure(x[begun:], d[begun:], self._secondary, self._taps, self._rate)
        except ValueError as fault:
            raise Refused("bad_field", f"snapshot: {fault}") from fault
        sounding = np.resize(heard[onset(heard[:, 0]) :, 0], len(pcm))  # again until it is as long
        return Snapshot(*header, statistics=statistics.to_bytes(), summary=summary(sounding, self._rate))
