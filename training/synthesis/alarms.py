"""Synthesise alarms of buildings and vehicles."""

import numpy as np
from numpy.random import Generator

from training.synthesis.signals import Signal, alternate, harmonics, smooth, times


def _sounder(frequency: Signal, rng: Generator) -> Signal:
    return harmonics(frequency, rng.choice([0.7, 1.0, 2.0, 4.0]), rng, max_harmonics=15)


def alarm_t3(n: int, rng: Generator, tone: float | None = None) -> Signal:
    """Return an ISO 8201 evacuation signal (T3): three tones of half a second and a pause."""
    tone = tone or rng.choice([520.0, rng.uniform(2700, 3500), rng.uniform(800, 2500)])
    on = rng.uniform(0.4, 0.6)
    gate = alternate(n, [on, 0.5, on, 0.5, on, rng.uniform(1.2, 1.7)], [1, 0, 1, 0, 1, 0], rng)
    return _sounder(np.full(n, tone), rng) * smooth(gate, 0.004)


def alarm_t4(n: int, rng: Generator, tone: float | None = None) -> Signal:
    """Return a carbon monoxide alarm (T4): four short tones and a pause, at most 2.5 s instead of 5."""
    tone = tone or rng.choice([520.0, rng.uniform(2700, 3500)])
    on = rng.uniform(0.08, 0.13)
    pause = rng.uniform(0.3, 2.5)
    gate = alternate(n, [on, 0.1, on, 0.1, on, 0.1, on, pause], [1, 0] * 4, rng)
    return _sounder(np.full(n, tone), rng) * smooth(gate, 0.003)


def beeper(n: int, rng: Generator) -> Signal:
    """Return regular beeps, as of reversing vehicles and simple sounders."""
    on = rng.uniform(0.08, 0.6)
    gate = alternate(n, [on, on * rng.uniform(0.7, 1.3)], [1, 0], rng)
    return _sounder(np.full(n, rng.uniform(700, 3600)), rng) * smooth(gate, 0.005)


def alternating_alarm(n: int, rng: Generator) -> Signal:
    """Return two alternating tones, as of building sounders."""
    low, each = rng.uniform(600, 2700), rng.uniform(0.1, 0.5)
    frequency = alternate(n, [each, each], [low, low * rng.uniform(1.08, 1.35)], rng)
    return _sounder(frequency, rng)


def sweeping_alarm(n: int, rng: Generator) -> Signal:
    """Return rising sweeps, slow (whoop) or fast."""
    low, high = rng.uniform(400, 1800), rng.uniform(1.2, 2.4)
    cycle = (times(n) / rng.choice([rng.uniform(0.1, 0.4), rng.uniform(0.8, 4.0)]) + rng.uniform()) % 1
    return _sounder(np.minimum(low * high**cycle, 3800), rng)
