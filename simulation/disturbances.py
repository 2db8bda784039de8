"""What else a headset goes through: wind, music, people who talk, jaws that move, a cup put on anew.

The forms and their measures are of the order that listeners meet; they are ours unless a source is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.scenes import SECONDS, Noise, Scene, shaped

SYLLABLES_HZ = 4.0
# Average spectrum of speech: level 500 Hz, 9 dB an octave down above (Byrne et al., JASA 96(4), 1994).
SPEECH_DB = [(60.0, -30.0), (120, -6), (250, 0), (500, 0), (1000, -9), (2000, -18), (4000, -25), (8000, -33)]
# Turbulence at a microphone is strongest below 100 Hz and falls steeply, and no other microphone hears the
# same (Nelke & Vary, "Measurement, analysis and simulation of wind noise signals", IWAENC 2014).
WIND_DB = [(10, 0), (50, 0), (100, -6), (500, -30), (1000, -40), (8000, -65)]
GUST_HZ = 0.5
CHEWING_HZ = 1.5
JAW_LEAK = 0.15  # that a moving jaw opens under a cushion
REINSERTED_S = 0.4
NOTES_HZ = (220.0, 261.6, 329.6, 440.0, 392.0, 523.3)


class DisturbanceSignals(NamedTuple):
    """One block of what is no noise, each (n,): at both microphones, from somebody, and on the driver."""

    wind_outside: Signal
    wind_inside: Signal
    speech: Signal
    music: Signal

    def part(self, span: slice) -> "DisturbanceSignals":
        """Return some of its samples."""
        return DisturbanceSignals(*(signal[span] for signal in self))


class Refit(NamedTuple):
    """From `at_s` on the headset comes to sit as `anatomy`, within `over_s` seconds."""

    at_s: float
    parameters: PlantParameters
    over_s: float


@dataclass
class Disturbances:
    """What sounds beside the noise, and how the headset moves.

    Attributes
    ----------
    wind_outside, wind_inside : Noise or None
        At the reference and at the error microphone.
    speech : Noise or None
        As the reference microphone hears it.
    music : Noise or None
        What the driver plays for the listener.
    moves : sequence of Move
        In the order of their times.
    """

    wind_outside: Noise | None = None
    wind_inside: Noise | None = None
    speech: Noise | None = None
    music: Noise | None = None
    moves: Sequence[Refit] = ()

    def read(self, n: int) -> DisturbanceSignals:
        """Return the next n samples of everything."""
        sources = (self.wind_outside, self.wind_inside, self.speech, self.music)
        return DisturbanceSignals(*(one.read(n) if one else np.zeros(n, np.float32) for one in sources))

    def sit(self, head: AcousticPlant, now: float) -> None:
        """Move the headset as is due by now."""
        due = [move for move in self.moves if move.at_s <= now]
        self.moves = self.moves[len(due) :]
        for move in due[-1:]:
            head.refit(move.parameters, move.over_s)


NO_DISTURBANCES = Disturbances()


class Louder:
    """A noise at another level than the -22 dBFS at which scenes are played."""

    def __init__(self, noise: Noise, by_db: float) -> None:
        self._noise = noise
        self._gain = np.float32(10 ** (by_db / 20))

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32."""
        return self._gain * self._noise.read(n)


def talking(rate: int, seed: int, by_db: float = 0.0) -> Noise:
    """Somebody: noise with the average spectrum of speech, four syllables a second and pauses between."""
    rng = np.random.default_rng(seed)
    n = int(SECONDS * rate)
    syllables = rng.choice([0.1, 0.6, 1.0, 1.6], int(SECONDS * SYLLABLES_HZ) + 2)
    loudness = np.interp(np.arange(n) * SYLLABLES_HZ / rate, np.arange(syllables.size), syllables)
    return Louder(Scene(loudness * shaped(rng, n, rate, SPEECH_DB), rate), by_db)


def wind(rate: int, seed: int, by_db: float = 0.0) -> Noise:
    """Wind at one microphone, in gusts; with another seed it is what another microphone hears."""
    rng = np.random.default_rng(seed)
    n = int(SECONDS * rate)
    gusts = 10 ** (6 * shaped(rng, n, rate, [(0.05, 0), (GUST_HZ, 0), (2 * GUST_HZ, -30), (50, -90)]) / 20)
    return Louder(Scene(gusts * shaped(rng, n, rate, WIND_DB), rate), by_db)


def tune(rate: int, seed: int, by_db: float = 0.0) -> Noise:
    """Music: plucked notes of eight harmonics, two a second."""
    rng = np.random.default_rng(seed)
    n = int(SECONDS * rate)
    t = np.arange(n) / rate
    song = np.zeros(n)
    for k in range(int(2 * SECONDS)):
        since = t[t >= k / 2] - k / 2
        hz = rng.choice(NOTES_HZ)
        note = sum(np.sin(2 * np.pi * i * hz * since) / i for i in range(1, 9) if i * hz < rate / 2)
        song[n - since.size :] += np.exp(-3 * since) * note
    return Louder(Scene(song, rate), by_db)


def chewing(parameters: PlantParameters, from_s: float, until_s: float) -> list[Refit]:
    """A jaw that opens and shuts a leak, from one time to another; it ends shut."""
    step = 0.5 / CHEWING_HZ
    times = np.arange(from_s, until_s, step)
    leaks = [parameters.leak + JAW_LEAK * (k % 2 == 0) for k in range(times.size)]
    leaks[-1] = parameters.leak
    return [
        Refit(float(at), _with_leak(parameters, leak), step) for at, leak in zip(times, leaks, strict=True)
    ]


def reinserted(parameters: PlantParameters, at_s: float, leak: float) -> list[Refit]:
    """A cup that is lifted, all leak, and put back so that it seals otherwise."""
    lifted = Refit(at_s, _with_leak(parameters, 1.0), REINSERTED_S / 4)
    return [lifted, Refit(at_s + REINSERTED_S, _with_leak(parameters, leak), REINSERTED_S / 4)]


def _with_leak(parameters: PlantParameters, leak: float) -> PlantParameters:
    return replace(parameters, leak=float(np.clip(leak, 0.0, 1.0)))
