"""Sounds and paths that the benchmarks share, made from seeds; recordings where a folder is given."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WANTED = ("Airplane", "Helicopter", "Engine", "Train", "Vacuum cleaner", "Rain", "Washing machine")
CLIPS_OF_A_KIND = 3


def coloured(rng: np.random.Generator, gain: NDArray) -> NDArray:
    """Gaussian noise of unit power with the given gains at the bins of its rfft, (n / 2 + 1,)."""
    n = 2 * (gain.size - 1)
    sound = np.fft.irfft(gain * np.fft.rfft(rng.standard_normal(n)), n)
    return sound / sound.std()


def cabin(rng: np.random.Generator, n: int, rate: int) -> NDArray:
    """Noise as in a cabin: flat to 200 Hz, 6 dB an octave down above."""
    return coloured(rng, 1 / (1 + np.fft.rfftfreq(n, 1 / rate) / 200))


def speech(rng: np.random.Generator, n: int, rate: int) -> NDArray:
    """Noise with the long-term spectrum of speech, four syllables a second, of unit power."""
    f = np.fft.rfftfreq(n, 1 / rate)
    voice = coloured(rng, 1 / (1 + ((f - 500) / 300) ** 2) + 0.2 / (1 + ((f - 1500) / 400) ** 2))
    voice *= np.repeat(rng.uniform(0, 2, n * 4 // rate + 1), rate // 4)[:n]
    return voice / voice.std()


def engine(n: int, rate: int) -> NDArray:
    """Twelve harmonics of a speed that drifts by 2 % every few seconds, and hiss 30 dB below."""
    rng, t = np.random.default_rng(4), np.arange(n) / rate
    speed = 30 * (1 + 0.02 * np.sin(2 * np.pi * 0.3 * t))
    turns = 2 * np.pi * np.cumsum(speed) / rate
    sound = sum(np.sin(k * turns + k * k) / k for k in range(1, 13))
    return sound / np.std(sound) + 0.03 * rng.standard_normal(n)


def echoes(rng: np.random.Generator, delay: float, decay: float, length: int = 128) -> NDArray:
    """Impulse response (length,): a direct sound `delay` samples late, and a decaying tail."""
    t = np.arange(length) - delay
    direct = np.sinc(t) * np.where(np.abs(t) < 16, np.cos(np.pi * t / 32) ** 2, 0)
    tail = 0.3 * rng.standard_normal(length) * np.exp(-np.maximum(t, 0) / decay) * (t > 1)
    return direct + tail


def changed(rng: np.random.Generator, path: NDArray, share: float) -> NDArray:
    """The path with a random error of `share` of its response at every frequency, smooth over frequency."""
    kernel = rng.standard_normal(8)
    return path + share * np.convolve(path, kernel / np.linalg.norm(kernel))[: path.size]


def recordings(folder: Path | None, rate: int) -> dict[str, NDArray]:
    """Recorded noises (n,) by name, from a folder with `clips.csv`; none without a folder."""
    if folder is None:
        return {}
    import soxr  # noqa: PLC0415  only who gives a folder needs to read it

    from anc.audio.reader import open_path  # noqa: PLC0415

    found: dict[str, NDArray] = {}
    with (folder / "clips.csv").open() as table:
        for row in csv.DictReader(table):
            kind = row["esc50_class"] or row["esc10_class"]
            names = [name for name in found if name.startswith(kind)]
            if kind in WANTED and len(names) < CLIPS_OF_A_KIND:
                with open_path(folder / row["path"]) as source:
                    sound = soxr.resample(source.read_mono().astype(np.float64), source.rate, rate)
                steady = np.std(sound) > 1e-4 and np.mean(np.abs(sound) < 1e-6) < 0.05
                if steady:
                    found[f"{kind} {len(names) + 1}"] = sound
    return found
