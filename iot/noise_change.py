"""Notices that the noise around a headset has changed, in level or in spectrum."""

import numpy as np

from iot.fir import Signal

FRAME_S = 0.125
BANDS_HZ = (45, 90, 180, 355, 710, 1400, 2800, 5600)  # edges of octaves
CHANGE_DB = 6.0
FLOOR_DB = -75.0  # of a band; what is fainter is the microphone's own
QUIET_DBFS = -60.0


class NoiseChange:
    """Compares octave levels of the last quarter second with those of the noise as it was last learned.

    Parameters
    ----------
    rate : int
        Hz.

    Attributes
    ----------
    since : int or None
        Sample from which on the noise is another; None while it is the learned one.
    """

    def __init__(self, rate: int) -> None:
        self.since: int | None = None
        self._frame = int(FRAME_S * rate)
        self._edges = np.searchsorted(np.fft.rfftfreq(self._frame, 1 / rate), BANDS_HZ)
        self._waiting = np.zeros(0, np.float32)
        self._frames: list[np.ndarray] = []
        self._heard = 0
        self._known = np.full(len(BANDS_HZ) - 1, FLOOR_DB)

    def hear(self, x: Signal) -> None:
        """Take a block of the reference microphone."""
        self._waiting = np.concatenate([self._waiting, x])
        while self._waiting.size >= self._frame:
            power = np.square(np.abs(np.fft.rfft(self._waiting[: self._frame]))) * 2 / self._frame**2
            self._waiting = self._waiting[self._frame :]
            self._heard += self._frame
            self._frames = [*self._frames[-7:], np.add.reduceat(power, self._edges)[:-1]]
            if self.since is None and self._distance(self._frames[-2:]) > CHANGE_DB:
                self.since = self._heard  # within this frame both may have sounded

    def mark(self) -> None:
        """Take it from elsewhere that the noise has changed by now."""
        if self.since is None:
            self.since = self._heard

    def learn(self) -> None:
        """Take the last second as the noise that is known."""
        self.since = None
        self._known = _level(self._frames)

    @property
    def quiet(self) -> bool:
        """Whether there is hardly anything to cancel."""
        return not self._frames or bool(10 * np.log10(sum(self._frames[-1]) + 1e-12) < QUIET_DBFS)

    def _distance(self, frames: list[np.ndarray]) -> float:
        return float(np.sqrt(np.mean(np.square(_level(frames) - self._known))))


def _level(frames: list[np.ndarray]) -> np.ndarray:
    return np.maximum(10 * np.log10(np.mean(frames, axis=0) + 1e-12), FLOOR_DB)
