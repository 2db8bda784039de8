"""Disturbances of a simulated headset: wind, speech, music, and changes of the fit.

Models and parameters are estimates of the typical order of magnitude, unless a source is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.scenes import SCENE_S, Noise, Scene, shaped_noise

SYLLABLES_HZ = 4.0
# Average spectrum of speech: falls by 9 dB per octave above 500 Hz (Byrne et al., JASA 96(4), 1994).
SPEECH_DB = [(60.0, -30.0), (120, -6), (250, 0), (500, 0), (1000, -9), (2000, -18), (4000, -25), (8000, -33)]
# Wind noise is strongest below 100 Hz, falls steeply above, and is uncorrelated between microphones
# (Nelke & Vary, "Measurement, analysis and simulation of wind noise signals", IWAENC 2014).
WIND_DB = [(10, 0), (50, 0), (100, -6), (500, -30), (1000, -40), (8000, -65)]
GUST_HZ = 0.5
CHEWING_HZ = 1.5
JAW_LEAK = 0.15  # additional leak under the cushion while the jaw is open
RESEAT_S = 0.4
NOTES_HZ = (220.0, 261.6, 329.6, 440.0, 392.0, 523.3)


class DisturbanceSignals(NamedTuple):
    """One block of each disturbance, (n,): wind at both microphones, speech, and music on the driver."""

    wind_outside: Signal
    wind_inside: Signal
    speech: Signal
    music: Signal

    def part(self, span: slice) -> "DisturbanceSignals":
        """Return the samples of a span."""
        return DisturbanceSignals(*(signal[span] for signal in self))


class Refit(NamedTuple):
    """A change of the fit to `parameters` that starts at `at_s` and takes `over_s` seconds."""

    at_s: float
    parameters: PlantParameters
    over_s: float


@dataclass
class Disturbances:
    """Signals beside the noise, and changes of the fit.

    Attributes
    ----------
    wind_outside, wind_inside : Noise or None
        Wind at the reference and at the error microphone.
    speech : Noise or None
        Speech at the reference microphone.
    music : Noise or None
        Music that the driver plays.
    refits : sequence of Refit
        In order of time.
    """

    wind_outside: Noise | None = None
    wind_inside: Noise | None = None
    speech: Noise | None = None
    music: Noise | None = None
    refits: Sequence[Refit] = ()

    def read(self, n: int) -> DisturbanceSignals:
        """Return the next n samples of each signal."""
        sources = (self.wind_outside, self.wind_inside, self.speech, self.music)
        return DisturbanceSignals(
            *(source.read(n) if source else np.zeros(n, np.float32) for source in sources)
        )

    def apply_refits(self, plant: AcousticPlant, now: float) -> None:
        """Apply the latest change of the fit that is due at `now` seconds."""
        due = [refit for refit in self.refits if refit.at_s <= now]
        self.refits = self.refits[len(due) :]
        for refit in due[-1:]:
            plant.refit(refit.parameters, refit.over_s)


NO_DISTURBANCES = Disturbances()


class Amplified:
    """A noise with a gain in dB relative to the -22 dBFS of scenes."""

    def __init__(self, noise: Noise, gain_db: float) -> None:
        self._noise = noise
        self._gain = np.float32(10 ** (gain_db / 20))

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32."""
        return self._gain * self._noise.read(n)


def speech(rate: int, seed: int, gain_db: float = 0.0) -> Noise:
    """Return speech-like noise with the average spectrum of speech, four syllables a second and pauses."""
    rng = np.random.default_rng(seed)
    n = int(SCENE_S * rate)
    syllables = rng.choice([0.1, 0.6, 1.0, 1.6], int(SCENE_S * SYLLABLES_HZ) + 2)
    envelope = np.interp(np.arange(n) * SYLLABLES_HZ / rate, np.arange(syllables.size), syllables)
    return Amplified(Scene(envelope * shaped_noise(rng, n, rate, SPEECH_DB), rate), gain_db)


def wind(rate: int, seed: int, gain_db: float = 0.0) -> Noise:
    """Return gusty wind noise at one microphone. Use another seed for each microphone."""
    rng = np.random.default_rng(seed)
    n = int(SCENE_S * rate)
    gust_curve = [(0.05, 0), (GUST_HZ, 0), (2 * GUST_HZ, -30), (50, -90)]
    gusts = 10 ** (6 * shaped_noise(rng, n, rate, gust_curve) / 20)
    return Amplified(Scene(gusts * shaped_noise(rng, n, rate, WIND_DB), rate), gain_db)


def music(rate: int, seed: int, gain_db: float = 0.0) -> Noise:
    """Return synthetic music: plucked notes with eight harmonics, two a second."""
    rng = np.random.default_rng(seed)
    n = int(SCENE_S * rate)
    t = np.arange(n) / rate
    samples = np.zeros(n)
    for k in range(int(2 * SCENE_S)):
        since = t[t >= k / 2] - k / 2
        hz = rng.choice(NOTES_HZ)
        note = sum(np.sin(2 * np.pi * i * hz * since) / i for i in range(1, 9) if i * hz < rate / 2)
        samples[n - since.size :] += np.exp(-3 * since) * note
    return Amplified(Scene(samples, rate), gain_db)


def chewing(parameters: PlantParameters, from_s: float, until_s: float) -> list[Refit]:
    """Return refits in which a jaw opens and closes a leak between two times; it ends closed."""
    step = 0.5 / CHEWING_HZ
    times = np.arange(from_s, until_s, step)
    leaks = [parameters.leak + JAW_LEAK * (k % 2 == 0) for k in range(times.size)]
    leaks[-1] = parameters.leak
    return [
        Refit(float(at), _with_leak(parameters, leak), step) for at, leak in zip(times, leaks, strict=True)
    ]


def reseated(parameters: PlantParameters, at_s: float, leak: float) -> list[Refit]:
    """Return refits in which a cup is lifted (a full leak) and put back with another leak."""
    lifted = Refit(at_s, _with_leak(parameters, 1.0), RESEAT_S / 4)
    return [lifted, Refit(at_s + RESEAT_S, _with_leak(parameters, leak), RESEAT_S / 4)]


def _with_leak(parameters: PlantParameters, leak: float) -> PlantParameters:
    return replace(parameters, leak=float(np.clip(leak, 0.0, 1.0)))
