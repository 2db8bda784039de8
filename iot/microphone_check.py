"""Find a dead microphone on the headset, which knows both signals whatever plays and whatever it sends."""

import numpy as np

from anc.schemas.refusal import Refused
from anc.schemas.snapshot import check_microphones
from iot.fir import Signal

WINDOW_S = 1.0


class MicrophoneCheck:
    """Compare both microphones once a second.

    The platform sees only snapshots: without sound at the reference microphone there are none, and with a
    filter they hold d, which is not constant when the error microphone is.
    """

    def __init__(self, rate: int) -> None:
        self._window = int(WINDOW_S * rate)
        self._blocks: list[np.ndarray] = []
        self._samples = 0

    def process(self, x: Signal, e: Signal) -> Refused | None:
        """Return the fault at the end of a second in which one microphone was constant, else None."""
        self._blocks.append(np.stack([x, e], axis=1))
        self._samples += len(x)
        if self._samples < self._window:
            return None
        signals = np.concatenate(self._blocks)
        self._blocks, self._samples = [], 0
        try:
            check_microphones(signals)
        except Refused as fault:
            return fault
        return None
