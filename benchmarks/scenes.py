"""Synthetic sounds and paths for the benchmarks, reproducible by seed, and recordings from a folder."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASSES = ("Airplane", "Helicopter", "Engine", "Train", "Vacuum cleaner", "Rain", "Washing machine")
CLIPS_PER_CLASS = 3


def coloured(rng: np.random.Generator, gain: NDArray) -> NDArray:
    """Return Gaussian noise of unit power with the given gains at its rfft bins, (n / 2 + 1,)."""
    n = 2 * (gain.size - 1)
    sound = np.fft.irfft(gain * np.fft.rfft(rng.standard_normal(n)), n)
    return sound / sound.std()


def cabin(rng: np.random.Generator, n: int, rate: int) -> NDArray:
    """Return cabin noise: flat to 200 Hz, falling by 6 dB per octave above."""
    return coloured(rng, 1 / (1 + np.fft.rfftfreq(n, 1 / rate) / 200))


def speech(rng: np.random.Generator, n: int, rate: int) -> NDArray:
    """Return noise with the long-term spectrum of speech, four syllables per second, unit power."""
    f = np.fft.rfftfreq(n, 1 / rate)
    voice = coloured(rng, 1 / (1 + ((f - 500) / 300) ** 2) + 0.2 / (1 + ((f - 1500) / 400) ** 2))
    voice *= np.repeat(rng.uniform(0, 2, n * 4 // rate + 1), rate // 4)[:n]
    return voice / voice.std()


def engine(n: int, rate: int) -> NDArray:
    """Return twelve harmonics of a speed that drifts by 2 %, with noise 30 dB below."""
    rng, t = np.random.default_rng(4), np.arange(n) / rate
    speed = 30 * (1 + 0.02 * np.sin(2 * np.pi * 0.3 * t))
    turns = 2 * np.pi * np.cumsum(speed) / rate
    sound = sum(np.sin(k * turns + k * k) / k for k in range(1, 13))
    return sound / np.std(sound) + 0.03 * rng.standard_normal(n)


def echoes(rng: np.random.Generator, delay: float, decay: float, length: int = 128) -> NDArray:
    """Return an impulse response, (length,): direct sound after `delay` samples and a decaying tail."""
    t = np.arange(length) - delay
    direct = np.sinc(t) * np.where(np.abs(t) < 16, np.cos(np.pi * t / 32) ** 2, 0)
    tail = 0.3 * rng.standard_normal(length) * np.exp(-np.maximum(t, 0) / decay) * (t > 1)
    return direct + tail


def perturbed(rng: np.random.Generator, path: NDArray, share: float) -> NDArray:
    """Return the path with a random relative error of `share` at every frequency."""
    kernel = rng.standard_normal(8)
    return path + share * np.convolve(path, kernel / np.linalg.norm(kernel))[: path.size]


def recordings(folder: Path | None, rate: int) -> dict[str, NDArray]:
    """Return recorded noises, (n,), by name from a folder with `clips.csv`; none without a folder."""
    if folder is None:
        return {}
    import soxr  # noqa: PLC0415  only needed with a folder

    from anc.audio.reader import open_path  # noqa: PLC0415

    found: dict[str, NDArray] = {}
    with (folder / "clips.csv").open() as table:
        for row in csv.DictReader(table):
            kind = row["esc50_class"] or row["esc10_class"]
            names = [name for name in found if name.startswith(kind)]
            if kind in CLASSES and len(names) < CLIPS_PER_CLASS:
                with open_path(folder / row["path"]) as source:
                    sound = soxr.resample(source.read_loudest().astype(np.float64), source.rate, rate)
                steady = np.std(sound) > 1e-4 and np.mean(np.abs(sound) < 1e-6) < 0.05
                if steady:
                    found[f"{kind} {len(names) + 1}"] = sound
    return found
