"""Measure the secondary path on the user's head, with a probe signal or with music."""

from typing import Literal

import numpy as np

from anc.dsp.identification import SecondaryPath, identify_secondary
from anc.schemas.path import MIN_FIT_DB, MeasuredPath
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant
from simulation.scenes import Noise

TAPS = 256
PROBE_S, MUSIC_S = 4.0, 20.0  # music has gaps in time and frequency, so it must play longer
PROBE_DBFS, MUSIC_DBFS = -25.0, -22.0
MIN_HZ = 40.0

StimulusKind = Literal["probe", "music"]


class MeasurementFailed(RuntimeError):
    """Raised when the path cannot be identified; the message says why and what to do."""


def measure_secondary(plant: AcousticPlant, stimulus: Signal, noise: Noise | None = None) -> SecondaryPath:
    """Play a stimulus with control off and identify the path from the error microphone.

    Parameters
    ----------
    plant : AcousticPlant
    stimulus : (n,) ndarray
        Signal that the driver plays.
    noise : Noise, optional
        Ambient noise; none by default.

    Raises
    ------
    MeasurementFailed
        When the stimulus explains less than `MIN_FIT_DB` of the microphone signal.
    """
    ambient = noise.read(stimulus.size) if noise else np.zeros(stimulus.size, np.float32)
    e = plant.ear(ambient, stimulus.astype(np.float32)).e
    # e = d - S * y, so -e gives a path with the sign of S.
    path = identify_secondary(stimulus, -e, TAPS, rate=plant.rate)
    if path.fit_db < MIN_FIT_DB:
        raise MeasurementFailed(
            f"the fit of the measured path must be at least {MIN_FIT_DB:.0f} dB (got {path.fit_db:.1f}); "
            "measure for longer, louder, or in a quieter place"
        )
    return path


def to_measured_path(path: SecondaryPath, rate: int, stimulus: StimulusKind) -> MeasuredPath:
    """Return the message that is stored and published to the platform."""
    secondary = path.impulse_response.astype(float).tolist()
    return MeasuredPath(secondary, rate, stimulus, round(path.fit_db, 1))


def probe_stimulus(rate: int, seed: int = 7919) -> Signal:
    """Return pink noise: equal power per octave, since the driver is weakest at low frequencies."""
    return _at_level(_pink(int(PROBE_S * rate), rate, np.random.default_rng(seed)), PROBE_DBFS)


def music_stimulus(rate: int, seed: int = 7919) -> Signal:
    """Return synthetic music: a bass, sustained chords and a brushed drum."""
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
    weight = np.where(frequency >= MIN_HZ, 1 / np.sqrt(np.maximum(frequency, MIN_HZ)), 0.0)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * weight, n)


def _at_level(samples: Signal, dbfs: float) -> Signal:
    samples = samples / np.sqrt(np.mean(np.square(samples))) * 10 ** (dbfs / 20)
    return np.clip(samples, -1.0, 1.0)
