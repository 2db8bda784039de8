"""Log-mel spectrograms of recordings and synthetic sounds, for training and evaluation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray
from rich.progress import track

from anc.noise.classifier import QUIET_DBFS
from anc.noise.features import OFFSET_DB, WINDOW, LogMelSpectrogram, band_edges, log_mel, quantise, windows
from training.recordings import Recording, load_sound
from training.synthesis import RATE, Maker, distort_and_reverberate

SPEEDS = (1.0, 0.82, 0.91, 1.1, 1.2)  # the first is the original

Windows = NDArray[np.uint8]  # (n, WINDOW, BANDS)


def levels(spectrograms: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the level of each column in dBFS, (..., BANDS) to (...)."""
    widths = (band_edges()[2:] - band_edges()[:-2]) / 2
    return 10 * np.log10(10 ** ((spectrograms.astype(np.float32) - OFFSET_DB) / 10) @ widths)


@dataclass(frozen=True)
class Sound:
    """One sound at several speeds.

    Attributes
    ----------
    spectrograms : tuple of (columns, BANDS) uint8
        One per speed; the first is the original.
    starts : tuple of (n,) int
        Start columns of the audible windows of each spectrogram.
    """

    spectrograms: tuple[LogMelSpectrogram, ...]
    starts: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, spectrograms: Iterable[LogMelSpectrogram], within: float) -> "Sound":
        """Return a sound whose windows are less than `within` dB below the loudest window."""
        kept = tuple(p if len(p) >= WINDOW else p[np.arange(WINDOW) % len(p)] for p in spectrograms)
        return cls(kept, tuple(_audible(spectrogram, within) for spectrogram in kept))

    def window(self, rng: Generator) -> NDArray[np.uint8]:
        """Return a random window at a random speed, (WINDOW, BANDS)."""
        i = rng.integers(len(self.spectrograms))
        start = rng.choice(self.starts[i])
        return self.spectrograms[i][start : start + WINDOW]


def _audible(spectrogram: LogMelSpectrogram, within: float) -> NDArray[np.int64]:
    power = 10 ** (levels(spectrogram) / 10)
    running = np.convolve(power, np.ones(WINDOW) / WINDOW, mode="valid")
    dbfs = 10 * np.log10(running + 1e-30)
    good = np.flatnonzero(dbfs >= max(QUIET_DBFS, dbfs.max() - within))
    return good if len(good) else np.array([int(np.argmax(dbfs))])


def audible_windows(spectrogram: LogMelSpectrogram) -> Windows:
    """Return the windows that are not quiet, or all if all are quiet."""
    views = windows(spectrogram)
    loud = np.array(
        [10 * np.log10(np.mean(10 ** (levels(view) / 10)) + 1e-30) >= QUIET_DBFS for view in views]
    )
    return views[loud] if loud.any() else views


def spectrogram_at(path: Path, speed: float) -> LogMelSpectrogram:
    """Return the spectrogram of a file played `speed` times as fast."""
    samples, rate = load_sound(path)
    if speed != 1.0:
        samples = soxr.resample(samples, rate, rate / speed, quality="MQ")
    return log_mel(quantise(np.clip(samples, -1, 1), rate), rate)


def read_sounds(recordings: Sequence[Recording], cache: Path | None = None) -> list[Sound]:
    """Return recordings as sounds at all speeds, using a cache file if given."""
    if cache and cache.is_file():
        with np.load(cache, allow_pickle=False) as file:
            if file["paths"].tolist() == [str(r.path) for r in recordings]:
                parts = np.split(file["columns"], np.cumsum(file["lengths"])[:-1])
                n = len(SPEEDS)
                return [Sound.of(parts[i * n : (i + 1) * n], 40) for i in range(len(recordings))]
    spectrograms = [
        [spectrogram_at(r.path, speed) for speed in SPEEDS]
        for r in track(recordings, "reading", transient=True)
    ]
    if cache:
        flat = [spectrogram for several in spectrograms for spectrogram in several]
        paths = np.array([str(r.path) for r in recordings])
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, paths=paths, lengths=[len(p) for p in flat], columns=np.concatenate(flat))
    return [Sound.of(several, 40) for several in spectrograms]


def synthesise(maker: Maker, count: int, seed: int, seconds: float = 4.0) -> list[Sound]:
    """Return `count` sounds of one maker, reproducible by seed."""
    make = partial(_synthetic, maker, int(seconds * RATE))
    return [Sound.of([make(np.random.default_rng([seed, i]))], 20) for i in range(count)]


def _synthetic(maker: Maker, n: int, rng: Generator) -> LogMelSpectrogram:
    return log_mel(quantise(distort_and_reverberate(maker(n, rng), rng), RATE), RATE)
