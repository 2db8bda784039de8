"""Synthesise trucks, traffic and wails of more kinds than `training.synthesis` does."""

import numpy as np
from numpy.random import Generator

from training.everyday import coloured_noise, glide
from training.synthesis import RATE, Signal, doppler, harmonics


def truck(n: int, rng: Generator) -> Signal:
    """Return a diesel engine and rolling noise."""
    drift = glide(n, 0.9, 1.1, 0.5, rng)
    firing = harmonics(rng.uniform(18, 60) * drift, 0.7, rng, 30)
    return (rng.uniform(0.1, 0.6) * firing + coloured_noise(n, rng.uniform(2, 6), rng)) / 1.2


def street(n: int, rng: Generator) -> Signal:
    """Return traffic: vehicles that pass one after another, over a distant rumble."""
    out = 0.3 * coloured_noise(n, rng.uniform(3, 6), rng)
    t = np.arange(n) / RATE
    for _ in range(rng.integers(1, 4)):
        nearest, speed = rng.uniform(3, 20), rng.uniform(5, 25)
        distance = np.hypot(nearest, speed * (t - rng.uniform(-1, t[-1] + 1)))
        passing = coloured_noise(n, rng.uniform(1, 5), rng) + rng.uniform(0, 0.3) * truck(n, rng)
        out += rng.uniform(0.3, 1.5) * passing * nearest / distance
    return out / np.max(np.abs(out) + 1e-9)


def wail(n: int, rng: Generator, period: tuple[float, float] = (1.5, 7.0)) -> Signal:
    """Return an electronic siren: slow sweeps between about 600 and 1500 Hz."""
    low, high = rng.uniform(350, 900), rng.uniform(1000, 1900)
    rise = rng.uniform(0.25, 0.75)
    cycle = (np.arange(n) / RATE / rng.uniform(*period) + rng.uniform()) % 1
    up = np.where(cycle < rise, cycle / rise, (1 - cycle) / (1 - rise))
    if rng.uniform() < 0.5:
        up = 0.5 - 0.5 * np.cos(np.pi * up)
    frequency = low * (high / low) ** up if rng.uniform() < 0.75 else low + (high - low) * up
    count = int(rng.choice([2, 3, 6, 24, 24, 24]))  # small loudspeakers and tests have few harmonics
    return harmonics(doppler(frequency, rng), rng.uniform(0.5, 2.2), rng, count)
