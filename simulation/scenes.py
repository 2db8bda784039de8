"""Ambient noise for simulations: built-in synthesised scenes, or any recording."""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
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
PERIOD = 32_768  # samples of a period; what is interpolated between them is wrong by -120 dB
CYLINDERS = (1.0, 0.7, 0.85, 0.6)  # strength of their knocks
PASSING_CARS = 20
SPEED_OF_SOUND = 343.0  # m/s
TYRES = (
    (50, -10),
    (150, -12),
    (400, -9),
    (800, 0),
    (1200, 0),
    (2500, -11),
    (5000, -21),
    (8000, -31),
)  # Hz, dB
MAX_RECORDING_S = 600.0


logger = logging.getLogger(__name__)


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

        Logs a warning if a part of the file could not be decoded.

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
            if source.note:
                logger.warning("%s: %s", path, source.note)
        audible = np.flatnonzero(np.abs(mono) > SILENCE * np.abs(mono).max(initial=0.0))
        if audible.size == 0 or audible[-1] - audible[0] < rate / 2:
            raise UnusableRecording(f"{path}: must contain at least half a second of sound")
        return cls(mono[audible[0] : audible[-1] + 1], rate)

    @classmethod
    def built_in(cls, name: str, rate: int, seed: int = 0) -> "Scene":
        """Return one of `SCENES` by name. Raises KeyError."""
        return cls(_synthesised(name, rate, seed), rate)

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
    """Return the noise of an airliner's cabin: flow along the fuselage, two engines that beat, turbine tones.

    A large AudioSet network names it aircraft. With weaker engines it names it vehicle, without them ocean.
    """
    n = int(SCENE_S * rate)
    flow = shaped_noise(
        rng, n, rate, [(20, 0), (60, 8), (120, 8), (400, 4.5), (1000, -11), (3000, -20), (8000, -43)]
    )
    speed = 1 + 0.002 * slow_noise(rng, n, rate)
    engines = sum(
        weight * harmonics(fundamental * speed, rate, np.arange(1, 18) ** -1.0)
        for fundamental, weight in ((72.5, 0.6), (73.4, 0.5))
    )
    tones = sum(np.sin(cycles(hz * speed, rate)) for hz in (1766.0, 3355.0, 4768.0))
    return (flow + engines + 0.07 * tones) * (1 + 0.017 * slow_noise(rng, n, rate))


def engine(rate: int, rng: np.random.Generator) -> Signal:
    """Return the noise of an idling engine: harmonics of its cycle, which drift, and knocking valves.

    Its four cylinders differ, so that the noise repeats with the cycle and not with every stroke.
    """
    n = int(SCENE_S * rate)
    firing = 43.0 * (1 + 0.03 * slow_noise(rng, n, rate))
    orders = np.arange(1, 65)  # of the cycle
    amplitudes = np.where(orders % len(CYLINDERS) == 0, 1.0, 0.14) * orders**-0.18
    knock = (strokes(firing, rate, 4, CYLINDERS) + 0.2) * shaped_noise(
        rng, n, rate, [(200, -20), (1000, -4), (1800, 0), (3500, -4), (7000, -18), (8000, -30)]
    )
    clatter = shaped_noise(rng, n, rate, [(50, 0), (300, 0), (1200, -8), (4000, -18), (8000, -30)])
    exhaust = shaped_noise(rng, n, rate, [(30, 0), (90, 0), (140, -12), (300, -30), (8000, -60)])
    orders_and_exhaust = harmonics(firing / len(CYLINDERS), rate, amplitudes) + 0.6 * exhaust
    return orders_and_exhaust + 0.3 * unit_power(knock) + 0.36 * clatter


def street(rate: int, rng: np.random.Generator) -> Signal:
    """Return the noise of a street: distant traffic, and passing cars with tyres and engines."""
    n = int(SCENE_S * rate)
    t = np.arange(n) / rate
    out = 0.5 * shaped_noise(
        rng, n, rate, [(30, 0), (80, 0), (300, -8), (1000, -15), (4000, -31), (8000, -50)]
    )
    road = shaped_noise(rng, n, rate, TYRES)
    valves = shaped_noise(rng, n, rate, [(200, -10), (600, 0), (1500, 0), (4000, -16), (8000, -30)])
    for k in range(PASSING_CARS):
        speed, nearest = rng.uniform(9, 17), rng.uniform(4, 14)  # m/s, m
        along = speed * (t - rng.uniform(-1, SCENE_S + 1)) * (-1) ** k
        distance = np.hypot(along, nearest)
        firing = rng.uniform(86, 130) * (1 - speed * along / distance / SPEED_OF_SOUND)
        motor = harmonics(firing, rate, np.arange(1, 30) ** -0.67)
        tyres, knock = (np.roll(noise, int(rng.integers(n))) for noise in (road, valves))
        knock *= strokes(firing, rate, 6)
        out += (1.8 * tyres + 0.5 * motor + 0.75 * unit_power(knock)) * (3 / distance) ** 1.3
    return out


SCENES: dict[str, Callable[[int, np.random.Generator], Signal]] = {
    "cabin": cabin,
    "engine": engine,
    "street": street,
}


def cycles(frequency: Signal, rate: int) -> Signal:
    """Return the phase in radians of an oscillation of `frequency`, Hz for each sample."""
    return 2 * np.pi * np.cumsum(frequency) / rate


def harmonics(fundamental: Signal, rate: int, amplitudes: Signal) -> Signal:
    """Return harmonics of `fundamental`, Hz for each sample, of unit power together."""
    turns = np.exp(1j * np.arange(1, len(amplitudes) + 1) ** 2)
    rotation = np.exp(2j * np.pi * np.arange(PERIOD + 1) / PERIOD)
    sums = np.zeros_like(rotation)
    for weight in (amplitudes * turns)[::-1]:  # the sum of sin(k * phase + k * k), by Horner's rule
        sums += weight
        sums *= rotation
    return unit_power(periodic(sums.imag, fundamental, rate))


def strokes(firing: Signal, rate: int, sharpness: int, strengths: Sequence[float] = (1.0,)) -> Signal:
    """Return a factor from 0 to 1 that is large once per cycle of `firing`, Hz for each sample.

    Parameters
    ----------
    strengths : sequence of float, 0 to 1
        Of successive strokes, again and again.
    """
    stroke = np.arange(PERIOD + 1) / PERIOD * len(strengths)
    shape = np.maximum(0, 0.5 + 0.5 * np.cos(2 * np.pi * stroke)) ** sharpness
    strength = np.take(strengths, np.floor(stroke + 0.5).astype(int), mode="wrap")
    return periodic(shape * strength, firing / len(strengths), rate)


def periodic(period: Signal, frequency: Signal, rate: int) -> Signal:
    """Return an oscillation of `frequency`, Hz for each sample.

    Parameters
    ----------
    period : (PERIOD + 1,) array_like
        One period and the first sample of the next one.
    """
    place = np.cumsum(frequency) / rate
    place -= np.floor(place)
    place *= PERIOD
    before = place.astype(np.intp)
    place -= before
    out: Signal = np.diff(period)[before]
    out *= place
    out += period[before]
    return out


def unit_power(samples: Signal) -> Signal:
    """Return the samples at an RMS of 1."""
    return samples / np.sqrt(np.mean(np.square(samples)))


def slow_noise(rng: np.random.Generator, n: int, rate: int) -> Signal:
    """Return noise below 1 Hz of unit power, by which speeds and levels drift."""
    return shaped_noise(rng, n, rate, [(0.1, 0), (0.5, 0), (1.0, -40), (10, -90)])


@lru_cache(maxsize=16)
def _synthesised(name: str, rate: int, seed: int) -> Signal:
    samples = SCENES[name](rate, np.random.default_rng(seed)).astype(np.float32)
    samples.flags.writeable = False
    return samples


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
    return unit_power(noise)
