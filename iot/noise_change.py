"""Detect changes of the ambient noise, in level or in spectrum."""

from collections import deque
from typing import NamedTuple

import numpy as np

from iot.fir import Signal

FRAME_S = 0.0625
FRAMES_PER_SPECTRUM = 4  # a quarter second; shorter spectra of the same noise differ by chance
LEARNED_FRAMES = 16  # a second
BANDS_HZ = (45, 90, 180, 355, 710, 1400, 2800, 5600)  # octave band edges
CHANGE_THRESHOLD = 2.2  # in standard deviations of the learned spectrum
MIN_DEVIATION_DB = 1.4  # lower bound of that standard deviation
SUDDEN_DB = 10.0  # rise in level above which two blocks suffice and the spectrum is not compared
BAND_FLOOR_DB = -75.0  # level of a band below which the microphone's own noise dominates
QUIET_DBFS = -60.0
MAX_KNOWN = 16  # remembered noises


class Spectrum(NamedTuple):
    """The shape of an octave spectrum in dB, and its standard deviation, each (bands,)."""

    shape: np.ndarray
    deviation_db: np.ndarray

    def matches(self, shape: np.ndarray) -> bool:
        """Return whether another shape is the same noise."""
        distance = np.mean(np.square((shape - self.shape) / self.deviation_db))
        return bool(distance <= CHANGE_THRESHOLD**2)


class NoiseChange:
    """Compare the octave spectrum of the last quarter second with the noises learned so far.

    The spectra are compared by shape, because the same noise at another level needs the same filter, relative
    to the learned standard deviation. After quiet, or after a rise by `SUDDEN_DB`, two blocks suffice.

    Parameters
    ----------
    rate : int
        Hz.

    Attributes
    ----------
    since : int or None
        First sample of the new noise; None while the noise is the learned one, or quiet.
    sudden : bool
        Whether the level rose by `SUDDEN_DB`, so that the previous noise is negligible.
    began : int
        First sample of the present noise, as its spectrum tells.
    """

    def __init__(self, rate: int) -> None:
        self.since: int | None = None
        self.sudden = False
        self.began = self._began_before = 0
        self._tentative = False  # whether the return of a known noise takes the change back
        self._frame = int(FRAME_S * rate)
        self._edges = np.searchsorted(np.fft.rfftfreq(self._frame, 1 / rate), BANDS_HZ)
        self._pending = np.zeros(0, np.float32)
        self._frames: list[np.ndarray] = []
        self._elapsed = 0
        self._block_powers = (0.0, 0.0)
        self._learned: Spectrum | None = None
        self._known: deque[Spectrum] = deque(maxlen=MAX_KNOWN)
        self._power = 0.0

    def process(self, x: Signal) -> None:
        """Process a block of the reference microphone."""
        self._block_powers = (self._block_powers[1], float(np.mean(np.square(x))))
        self._elapsed += x.size
        self._pending = np.concatenate([self._pending, x])
        while self._pending.size >= self._frame:
            power = np.square(np.abs(np.fft.rfft(self._pending[: self._frame]))) * 2 / self._frame**2
            self._pending = self._pending[self._frame :]
            self._frames = [*self._frames[1 - LEARNED_FRAMES :], np.add.reduceat(power, self._edges)[:-1]]
            at = self._elapsed - self._pending.size
            if self.since is None and self._has_changed():
                # The latest frame may contain both noises, so the new one starts after it.
                self.since, self._tentative = at, True
                self._began_before, self.began = self.began, at
            elif self._tentative and self._is_known_again(at):
                self.since, self._tentative = None, False
                self.began = self._began_before
        if self.quiet:
            self.since, self.sudden, self._tentative = None, False, False
            self.began = self._elapsed
        elif not self.sudden and min(self._block_powers) > self._sudden_power():
            self.since, self.sudden, self._tentative = self._elapsed - 2 * x.size, True, False
            self.began = self.since

    def mark_change(self) -> None:
        """Treat the noise as changed from now on."""
        self._tentative = False
        if self.since is None:
            self.since = self._elapsed

    def confirm(self) -> None:
        """Record that a snapshot of the new noise was sent: it stays new until it is learned."""
        self._tentative = False

    def learn(self) -> None:
        """Learn the last second as the current noise."""
        self.since, self.sudden = None, False
        shapes = _octave_shapes(self._frames)
        self._learned = Spectrum(shapes.mean(axis=0), np.sqrt(shapes.var(axis=0) + MIN_DEVIATION_DB**2))
        self._power = float(np.mean(self._frames, axis=0).sum())

    def remember(self) -> None:
        """Keep the noise learned last: its return is no change."""
        if self._learned and not any(each.matches(self._learned.shape) for each in self._known):
            self._known.append(self._learned)

    def forget(self) -> None:
        """Forget the remembered noises."""
        self._known.clear()

    @property
    def quiet(self) -> bool:
        """Whether the level is below `QUIET_DBFS`."""
        power = max(self._frames[-1].sum() if self._frames else 0.0, *self._block_powers)
        return bool(10 * np.log10(power + 1e-12) < QUIET_DBFS)

    def _sudden_power(self) -> float:
        return float(10 ** (SUDDEN_DB / 10) * max(self._power, 10 ** (QUIET_DBFS / 10)))

    def _is_known_again(self, at: int) -> bool:
        """Return whether the spectrum that began the change was a mixture of two known noises."""
        return at >= (self.since or 0) + FRAMES_PER_SPECTRUM * self._frame and not self._has_changed()

    def _has_changed(self) -> bool:
        if self._learned is None:
            return bool(self._frames[-1].sum() > 10 ** (QUIET_DBFS / 10))
        latest = _octave_shapes(self._frames[-FRAMES_PER_SPECTRUM:])[-1]
        return not any(each.matches(latest) for each in (self._learned, *self._known))


def _octave_shapes(frames: list[np.ndarray]) -> np.ndarray:
    """Return the octave levels in dB of each quarter second, less their mean, (spectra, bands)."""
    n = min(FRAMES_PER_SPECTRUM, len(frames))
    sums = np.cumsum([np.zeros_like(frames[0]), *frames], axis=0)
    levels = np.maximum(10 * np.log10((sums[n:] - sums[:-n]) / n + 1e-12), BAND_FLOOR_DB)
    return levels - levels.mean(axis=1, keepdims=True)
