"""Ambient noise for simulations: built-in synthesised scenes, or any recording."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from anc.audio.reader import open_path
from iot.fir import Signal

LEVEL_DBFS = -22.0
PEAK = 0.9
HIGH_PASS_HZ = 60.0  # below it, drivers have no output and recordings contain wind and handling noise
SILENCE = 1e-3  # relative to the peak; quieter samples at the ends of a recording are cut off
SCENE_S = 20.0  # length of a synthesised scene before it repeats
SEAM_S = 0.1
MAX_RECORDING_S = 600.0


class UnusableRecording(ValueError):
    """Raised when a recording contains too little sound; the message names the file."""


class Noise(Protocol):
    """An endless source of samples."""

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32."""


class Scene:
    """An endless loop of samples with a cross-fade at the seam, at -22 dBFS.

    Parameters
    ----------
    samples : (n,) array_like
        At any level.
    rate : int
        Hz.
    """

    def __init__(self, samples: Signal, rate: int) -> None:
        samples = high_pass(samples, rate)
        seam = min(int(SEAM_S * rate), samples.size // 4)
        rise = np.sqrt(np.linspace(0.0, 1.0, seam))  # constant power: start and end are uncorrelated
        loop = samples[: samples.size - seam].astype(np.float64)
        loop[:seam] = loop[:seam] * rise + samples[samples.size - seam :] * rise[::-1]
        gain = min(10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(loop**2)), PEAK / np.abs(loop).max())
        self._loop = (loop * gain).astype(np.float32)
        self._at = 0

    @classmethod
    def from_file(cls, path: Path, rate: int) -> "Scene":
        """Return a recording as a scene: any sound file; of several channels, the loudest.

        Raises
        ------
        Refused
            When it cannot be decoded, or is longer than ten minutes.
        UnusableRecording
            When it contains less than half a second of sound.
        """
        with open_path(path) as source:
            source.check_length(MAX_RECORDING_S, "cut it")
            mono = soxr.resample(source.read_loudest(), source.rate, rate)
        audible = np.flatnonzero(np.abs(mono) > SILENCE * np.abs(mono).max(initial=0.0))
        if audible.size == 0 or audible[-1] - audible[0] < rate / 2:
            raise UnusableRecording(f"{path}: must contain at least half a second of sound")
        return cls(mono[audible[0] : audible[-1] + 1], rate)

    @classmethod
    def built_in(cls, name: str, rate: int, seed: int = 0) -> "Scene":
        """Return one of `SCENES` by name. Raises KeyError."""
        return cls(SCENES[name](rate, np.random.default_rng(seed)).astype(np.float32), rate)

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32."""
        at = np.arange(self._at, self._at + n) % self._loop.size
        self._at += n
        return self._loop[at]


class Medley:
    """Several noises in turn, repeated.

    Parameters
    ----------
    noises : sequence of Noise
    samples : int
        Samples of each noise per turn; at its next turn it continues where it stopped.
    """

    def __init__(self, noises: Sequence[Noise], samples: int) -> None:
        self._noises = noises
        self._samples = samples
        self._at = 0

    @classmethod
    def built_in(cls, rate: int, seconds: float) -> "Medley":
        """Return the built-in scenes in turn, `seconds` of each."""
        return cls([Scene.built_in(name, rate) for name in SCENES], int(seconds * rate))

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32."""
        parts = []
        while n > 0:
            turn, into = divmod(self._at, self._samples)
            part = self._noises[turn % len(self._noises)].read(min(n, self._samples - into))
            parts.append(part)
            self._at += part.size
            n -= part.size
        return np.concatenate(parts)


def cabin(rate: int, rng: np.random.Generator) -> Signal:
    """Return the noise of an airliner's cabin: flow noise that falls above 100 Hz, and two turbine tones."""
    t = np.arange(int(SCENE_S * rate)) / rate
    flow = shaped_noise(
        rng, t.size, rate, [(20, 0), (60, 6), (120, 8), (400, 0), (1000, -9), (3000, -22), (8000, -40)]
    )
    tones = 0.12 * np.sin(2 * np.pi * 87.0 * t) + 0.08 * np.sin(2 * np.pi * 213.0 * t)
    return flow + tones


def engine(rate: int, rng: np.random.Generator) -> Signal:
    """Return the noise of an idling diesel: 24 Hz and harmonics, slowly drifting, and mechanical noise."""
    n = int(SCENE_S * rate)
    wander = shaped_noise(rng, n, rate, [(0.1, 0), (0.5, 0), (1.0, -40), (10, -90)])
    phase = 2 * np.pi * np.cumsum(24.0 * (1 + 0.01 * wander)) / rate
    harmonics = sum(np.sin(k * phase + k * k) / k**0.7 for k in range(1, 31))
    return 0.35 * harmonics + 0.5 * shaped_noise(rng, n, rate, [(50, 0), (500, 0), (2000, -12), (8000, -30)])


def street(rate: int, rng: np.random.Generator) -> Signal:
    """Return the noise of a street: rumble, and tyre noise around 800 Hz that swells as cars pass."""
    n = int(SCENE_S * rate)
    t = np.arange(n) / rate
    rumble = shaped_noise(rng, n, rate, [(30, 0), (100, 0), (400, -12), (2000, -40)])
    tyres = shaped_noise(rng, n, rate, [(200, -15), (600, 0), (1200, 0), (3000, -15), (8000, -30)])
    passing = sum(np.exp(-0.5 * ((t - at) / width) ** 2) for at, width in ((4, 1.2), (11, 2.0), (16, 0.9)))
    return rumble + (0.3 + 1.2 * passing) * tyres


SCENES: dict[str, Callable[[int, np.random.Generator], Signal]] = {
    "cabin": cabin,
    "engine": engine,
    "street": street,
}


def high_pass(samples: Signal, rate: int) -> Signal:
    """Return the samples high-passed at 60 Hz (24 dB per octave, zero phase), (n,)."""
    size = samples.size + rate  # zero padding, so that the filter's ringing does not wrap around
    ratio = (np.fft.rfftfreq(size, 1 / rate) / HIGH_PASS_HZ) ** 4
    return np.fft.irfft(np.fft.rfft(samples, size) * ratio / (1 + ratio), size)[: samples.size]


def shaped_noise(rng: np.random.Generator, n: int, rate: int, curve: Sequence[tuple[float, float]]) -> Signal:
    """Return Gaussian noise of unit power, (n,), with the spectrum `curve`: (Hz, dB), log-interpolated."""
    hz, db = np.array(curve).T
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / rate), 1e-3)
    weight = 10 ** (np.interp(np.log(frequency), np.log(hz), db) / 20)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * weight, n)
    return noise / np.sqrt(np.mean(noise**2))
