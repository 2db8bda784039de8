"""Synthesise trucks and traffic."""

import numpy as np
from numpy.random import Generator

from training.synthesis.signals import RATE, Signal, coloured_noise, glide, harmonics


def truck(n: int, rng: Generator) -> Signal:
    """Return a diesel engine and rolling noise, with a peak of up to 3: the engine may be louder."""
    drift = glide(n, 0.9, 1.1, 0.5, rng)
    firing = harmonics(rng.uniform(18, 60) * drift, 0.7, rng, 30)
    return (np.exp(rng.uniform(-2.3, 1)) * firing + coloured_noise(n, rng.uniform(2, 6), rng)) / 1.2


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
