"""An alarm in noise at a given level, as alarm detection is evaluated with."""

from typing import NamedTuple

import numpy as np

from training.synthesis import Signal

LEVELS_DB = (-5, 0, 5, 10, 20)  # of the alarm over the noise
BEFORE_S, AFTER_S = 2.0, 6.0
NOISE_DBFS = -30


class Mixture(NamedTuple):
    """An alarm in noise: samples, (n,) at `RATE`, and the index of the alarm's first audible sample."""

    samples: Signal
    onset: int


def mixture(alarm: Signal, noise: Signal, level_db: float) -> Mixture:
    """Mix an alarm into the end of a longer noise and clip the sum to [-1, 1].

    Parameters
    ----------
    alarm : (n,) float64
        Peak 0.5.
    noise : (m,) float64, m > n
        Scaled to `NOISE_DBFS`.
    level_db : float
        Level of the alarm over the noise, without the pauses of the alarm.
    """
    onset = int(np.flatnonzero(np.abs(alarm) > 0.05)[0])
    start = len(noise) - len(alarm)
    mixed = noise * 10 ** (NOISE_DBFS / 20) / np.sqrt(np.mean(np.square(noise)))
    envelope = np.sqrt(np.convolve(np.square(alarm), np.ones(800) / 800, mode="same"))
    loudness = np.sqrt(np.mean(np.square(alarm[envelope > 0.1 * envelope.max()])))  # pauses left out
    mixed[start:] += alarm * 10 ** ((NOISE_DBFS + level_db) / 20) / loudness
    return Mixture(np.clip(mixed, -1, 1), start + onset)
