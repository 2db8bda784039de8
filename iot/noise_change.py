"""Notices that the noise around a headset has changed, in level or in spectrum."""

import numpy as np

from iot.fir import Signal

FRAME_S = 0.0625
FRAMES_TOGETHER = 4  # a quarter second: in less, noise is another by chance
FRAMES_KNOWN = 16  # a second
BANDS_HZ = (45, 90, 180, 355, 710, 1400, 2800, 5600)  # edges of octaves
CHANGE = 2.2  # times what the spectrum wavered while it was learned
STEADIEST_DB = 1.4  # that a spectrum may waver, however steady it was while it was learned
SUDDEN_DB = 10.0  # by which a noise is so much louder that it need not be told apart from the one before
FLOOR_DB = -75.0  # of a band; what is fainter is the microphone's own
QUIET_DBFS = -60.0


class NoiseChange:
    """Compares the octave spectrum of the last quarter second with the noise as it was last learned.

    What counts is the shape of the spectrum, since the same noise at another level wants the same filter, and
    how much that wavered by itself. Out of quiet, and where a noise is much louder than the one before, two
    blocks are enough.

    Parameters
    ----------
    rate : int
        Hz.

    Attributes
    ----------
    since : int or None
        Sample from which on the noise is another; None while it is the learned one, or quiet.
    sudden : bool
        Whether it is so much louder that the one before does not count beside it.
    """

    def __init__(self, rate: int) -> None:
        self.since: int | None = None
        self.sudden = False
        self._frame = int(FRAME_S * rate)
        self._edges = np.searchsorted(np.fft.rfftfreq(self._frame, 1 / rate), BANDS_HZ)
        self._waiting = np.zeros(0, np.float32)
        self._frames: list[np.ndarray] = []
        self._heard = 0
        self._blocks = (0.0, 0.0)
        self._shape: np.ndarray | None = None
        self._wavers = np.full(len(BANDS_HZ) - 1, STEADIEST_DB)
        self._power = 0.0

    def process(self, x: Signal) -> None:
        """Take a block of the reference microphone."""
        self._blocks = (self._blocks[1], float(np.mean(np.square(x))))
        self._heard += x.size
        self._waiting = np.concatenate([self._waiting, x])
        while self._waiting.size >= self._frame:
            power = np.square(np.abs(np.fft.rfft(self._waiting[: self._frame]))) * 2 / self._frame**2
            self._waiting = self._waiting[self._frame :]
            self._frames = [*self._frames[1 - FRAMES_KNOWN :], np.add.reduceat(power, self._edges)[:-1]]
            if self.since is None and self._is_another():
                # Within the last of these frames both may have sounded.
                self.since = self._heard - self._waiting.size
        if self.quiet:
            self.since, self.sudden = None, False
        elif not self.sudden and min(self._blocks) > self._loud():
            self.since, self.sudden = self._heard - 2 * x.size, True

    def mark(self) -> None:
        """Take it from elsewhere that the noise has changed by now."""
        if self.since is None:
            self.since = self._heard

    def learn(self) -> None:
        """Take the last second as the noise that is known."""
        self.since, self.sudden = None, False
        shapes = _shapes(self._frames)
        self._shape = shapes.mean(axis=0)
        self._wavers = np.sqrt(shapes.var(axis=0) + STEADIEST_DB**2)
        self._power = float(np.mean(self._frames, axis=0).sum())

    @property
    def quiet(self) -> bool:
        """Whether there is hardly anything to cancel."""
        loudest = max(self._frames[-1].sum() if self._frames else 0.0, *self._blocks)
        return bool(10 * np.log10(loudest + 1e-12) < QUIET_DBFS)

    def _loud(self) -> float:
        return float(10 ** (SUDDEN_DB / 10) * max(self._power, 10 ** (QUIET_DBFS / 10)))

    def _is_another(self) -> bool:
        if self._shape is None:
            return bool(self._frames[-1].sum() > 10 ** (QUIET_DBFS / 10))
        now = _shapes(self._frames[-FRAMES_TOGETHER:])[-1]
        return bool(np.mean(np.square((now - self._shape) / self._wavers)) > CHANGE**2)


def _shapes(frames: list[np.ndarray]) -> np.ndarray:
    """Octave levels of every quarter second in these frames, (quarters, bands), each less its mean."""
    together = min(FRAMES_TOGETHER, len(frames))
    sums = np.cumsum([np.zeros_like(frames[0]), *frames], axis=0)
    levels = np.maximum(10 * np.log10((sums[together:] - sums[:-together]) / together + 1e-12), FLOOR_DB)
    return levels - levels.mean(axis=1, keepdims=True)
