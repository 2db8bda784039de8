"""Noise to put a head into: built-in synthesised scenes, or any recording."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from anc.audio.reader import open_path
from iot.fir import Signal

LEVEL_DBFS = -22.0
PEAK = 0.9
LOWEST_HZ = 60.0  # no headset's driver reaches below, and in recordings it is wind and handling
SILENT = 1e-3  # of the peak: what a recording begins and ends with below it is left out
SECONDS = 20.0  # of a synthesised scene before it repeats
SEAM_S = 0.1
LONGEST_S = 600.0


class UnusableRecording(ValueError):
    """A recording with too little sound to play; the message says which."""


class Noise(Protocol):
    """Something that sounds without an end."""

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32."""


class Scene:
    """A noise without an end: it repeats, its end faded into its beginning.

    Parameters
    ----------
    samples : (n,) array_like
        At `rate`; any level, it is played at -22 dBFS.
    rate : int
        Hz.
    """

    def __init__(self, samples: Signal, rate: int) -> None:
        samples = high_passed(samples, rate)
        seam = min(int(SEAM_S * rate), samples.size // 4)
        rise = np.sqrt(np.linspace(0.0, 1.0, seam))  # power adds up: beginning and end are strangers
        loop = samples[: samples.size - seam].astype(np.float64)
        loop[:seam] = loop[:seam] * rise + samples[samples.size - seam :] * rise[::-1]
        gain = min(10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(loop**2)), PEAK / np.abs(loop).max())
        self._loop = (loop * gain).astype(np.float32)
        self._at = 0

    @classmethod
    def recorded(cls, path: Path, rate: int) -> "Scene":
        """Return a recording as a scene: any sound file, several channels mixed to one.

        Raises
        ------
        Refused
            When it cannot be decoded, or is longer than ten minutes.
        UnusableRecording
            When it holds less than half a second of sound.
        """
        with open_path(path) as source:
            source.check_length(LONGEST_S, "cut it")
            mono = soxr.resample(source.read_mono(), source.rate, rate)
        loud = np.flatnonzero(np.abs(mono) > SILENT * np.abs(mono).max(initial=0.0))
        if loud.size == 0 or loud[-1] - loud[0] < rate / 2:
            raise UnusableRecording(f"{path}: less than half a second of sound")
        return cls(mono[loud[0] : loud[-1] + 1], rate)

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
    """Noises one after the other, again and again.

    Parameters
    ----------
    noises : sequence of Noise
    samples : int
        Of each before the next one begins; each goes on where it was.
    """

    def __init__(self, noises: Sequence[Noise], samples: int) -> None:
        self._noises = noises
        self._samples = samples
        self._at = 0

    @classmethod
    def built_in(cls, rate: int, seconds: float) -> "Medley":
        """Return the built-in scenes in turn, so many seconds of each."""
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
    """An airliner's cabin: broadband flow noise falling from 100 Hz on, and two faint turbine tones."""
    t = np.arange(int(SECONDS * rate)) / rate
    flow = shaped(
        rng, t.size, rate, [(20, 0), (60, 6), (120, 8), (400, 0), (1000, -9), (3000, -22), (8000, -40)]
    )
    tones = 0.12 * np.sin(2 * np.pi * 87.0 * t) + 0.08 * np.sin(2 * np.pi * 213.0 * t)
    return flow + tones


def engine(rate: int, rng: np.random.Generator) -> Signal:
    """A diesel at idle: firing at 24 Hz and its harmonics, slowly wandering, over mechanical noise."""
    n = int(SECONDS * rate)
    wander = shaped(rng, n, rate, [(0.1, 0), (0.5, 0), (1.0, -40), (10, -90)])
    phase = 2 * np.pi * np.cumsum(24.0 * (1 + 0.01 * wander)) / rate
    harmonics = sum(np.sin(k * phase + k * k) / k**0.7 for k in range(1, 31))
    return 0.35 * harmonics + 0.5 * shaped(rng, n, rate, [(50, 0), (500, 0), (2000, -12), (8000, -30)])


def street(rate: int, rng: np.random.Generator) -> Signal:
    """A street: tyre noise around 800 Hz over a rumble, swelling as cars pass."""
    n = int(SECONDS * rate)
    t = np.arange(n) / rate
    rumble = shaped(rng, n, rate, [(30, 0), (100, 0), (400, -12), (2000, -40)])
    tyres = shaped(rng, n, rate, [(200, -15), (600, 0), (1200, 0), (3000, -15), (8000, -30)])
    passing = sum(np.exp(-0.5 * ((t - at) / width) ** 2) for at, width in ((4, 1.2), (11, 2.0), (16, 0.9)))
    return rumble + (0.3 + 1.2 * passing) * tyres


SCENES: dict[str, Callable[[int, np.random.Generator], Signal]] = {
    "cabin": cabin,
    "engine": engine,
    "street": street,
}


def high_passed(samples: Signal, rate: int) -> Signal:
    """Return the samples without what lies below 60 Hz (24 dB an octave, no phase), (n,)."""
    size = samples.size + rate  # room for the filter's ringing, which must not come round to the beginning
    ratio = (np.fft.rfftfreq(size, 1 / rate) / LOWEST_HZ) ** 4
    return np.fft.irfft(np.fft.rfft(samples, size) * ratio / (1 + ratio), size)[: samples.size]


def shaped(rng: np.random.Generator, n: int, rate: int, curve: Sequence[tuple[float, float]]) -> Signal:
    """Return Gaussian noise of unit power, (n,), whose spectrum follows `curve`: dB at Hz, on a log axis."""
    hz, db = np.array(curve).T
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / rate), 1e-3)
    weight = 10 ** (np.interp(np.log(frequency), np.log(hz), db) / 20)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * weight, n)
    return noise / np.sqrt(np.mean(noise**2))
