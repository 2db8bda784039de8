"""The secondary path, measured on the listener's head: with a probe, or with the listener's own music."""

from typing import Literal

import numpy as np

from anc.dsp.identification import SecondaryPath, identify_secondary
from anc.schemas.path import MIN_FIT_DB, MeasuredPath
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant
from simulation.scenes import Noise

TAPS = 256
PROBE_S, MUSIC_S = 4.0, 20.0  # music has gaps in time and in frequency, and takes longer to tell as much
PROBE_DBFS, MUSIC_DBFS = -25.0, -22.0
LOWEST_HZ = 40.0

Played = Literal["probe", "music"]


class CannotMeasure(RuntimeError):
    """The path could not be told from what was heard; the message says why, and what to do."""


def measure_secondary(head: AcousticPlant, sound: Signal, noise: Noise | None = None) -> SecondaryPath:
    """Play a sound with control off and identify the path from what the error microphone hears.

    Parameters
    ----------
    head : Head
    sound : (n,) ndarray
        What the driver plays.
    noise : Noise, optional
        What sounds around; nothing, in a quiet room.

    Raises
    ------
    CannotMeasure
        When too little of what the microphone heard was the driver's doing.
    """
    around = noise.read(sound.size) if noise else np.zeros(sound.size, np.float32)
    heard = head.ear(around, sound.astype(np.float32)).e
    # The microphone hears e = d - S * y: the path that is identified has the sign of S.
    path = identify_secondary(sound, -heard, TAPS, rate=head.rate)
    if path.fit_db < MIN_FIT_DB:
        raise CannotMeasure(
            f"the path explains {path.fit_db:.1f} dB of what was heard, {MIN_FIT_DB:.0f} are needed; "
            "measure for longer, louder, or in a quieter place"
        )
    return path


def outcome(path: SecondaryPath, rate: int, played: Played) -> MeasuredPath:
    """Return a measurement as it is kept, and as the platform takes it."""
    secondary = path.impulse_response.astype(float).tolist()
    return MeasuredPath(secondary, rate, played, round(path.fit_db, 1))


def probe(rate: int, seed: int = 7919) -> Signal:
    """Return pink noise: as much for each octave, for the driver gives least where octaves are short."""
    return _at_level(_pink(int(PROBE_S * rate), rate, np.random.default_rng(seed)), PROBE_DBFS)


def tune(rate: int, seed: int = 7919) -> Signal:
    """Return music of a kind: a bass, chords that ring on, and a brushed drum."""
    rng = np.random.default_rng(seed)
    beat = int(0.4 * rate)
    played = np.zeros(int(MUSIC_S * rate) + 8 * beat)
    for start in range(0, int(MUSIC_S * rate), beat):
        root = 55.0 * 2 ** (rng.choice([0, 3, 5, 7, 10]) / 12)
        notes = [(root, 1.0), *((4 * root * 2 ** (step / 12), 0.4) for step in (0, 4, 7))]
        for hz, loud in notes:
            played[start : start + 4 * beat] += loud * _note(hz, 4 * beat, rate)
        brush = rng.standard_normal(beat) * np.exp(-np.arange(beat) / (0.06 * rate))
        played[start : start + beat] += 0.25 * brush
    return _at_level(played[: int(MUSIC_S * rate)], MUSIC_DBFS)


def _note(hz: float, n: int, rate: int) -> Signal:
    t = np.arange(n) / rate
    partials = range(1, int(min(12, 0.45 * rate / hz)) + 1)
    ringing = sum(np.sin(2 * np.pi * k * hz * t) / k * np.exp(-k * t) for k in partials)
    return np.asarray(ringing * np.minimum(t / 0.005, 1.0))


def _pink(n: int, rate: int, rng: np.random.Generator) -> Signal:
    frequency = np.fft.rfftfreq(n, 1 / rate)
    weight = np.where(frequency >= LOWEST_HZ, 1 / np.sqrt(np.maximum(frequency, LOWEST_HZ)), 0.0)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * weight, n)


def _at_level(samples: Signal, dbfs: float) -> Signal:
    samples = samples / np.sqrt(np.mean(np.square(samples))) * 10 ** (dbfs / 20)
    return np.clip(samples, -1.0, 1.0)
