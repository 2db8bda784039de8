"""Synthesise sirens."""

import numpy as np
from numpy.random import Generator

from training.synthesis.signals import Signal, alternate, doppler, harmonics, smooth, times


def _sweeps(n: int, rng: Generator, period: tuple[float, float]) -> tuple[float, float, Signal]:
    """Return the lowest and highest pitch in Hz, and the course between them from 0 to 1."""
    low, high = rng.uniform(350, 900), rng.uniform(1000, 1900)
    rise = rng.uniform(0.25, 0.75)
    cycle = (times(n) / rng.uniform(*period) + rng.uniform()) % 1
    up = np.where(cycle < rise, cycle / rise, (1 - cycle) / (1 - rise))
    if rng.uniform() < 0.5:
        up = 0.5 - 0.5 * np.cos(np.pi * up)
    return low, high, up


def wail(n: int, rng: Generator) -> Signal:
    """Return an electronic siren: slow sweeps between about 600 and 1500 Hz."""
    low, high, up = _sweeps(n, rng, (1.5, 7.0))
    frequency = low * (high / low) ** up
    count = int(rng.choice([2, 3, 6, 24, 24, 24]))  # small loudspeakers and tests have few harmonics
    return harmonics(doppler(frequency, rng), rng.uniform(0.5, 2.2), rng, count)


def _fast(n: int, rng: Generator, period: tuple[float, float]) -> Signal:
    low, high, up = _sweeps(n, rng, period)
    return harmonics(doppler(low * (high / low) ** up, rng), rng.uniform(0.5, 2.2), rng)


def yelp(n: int, rng: Generator) -> Signal:
    """Return an electronic siren with two to five sweeps per second."""
    return _fast(n, rng, (0.18, 0.5))


def phaser(n: int, rng: Generator) -> Signal:
    """Return an electronic siren with 10 to 25 sweeps per second."""
    return _fast(n, rng, (0.04, 0.1))


def hi_lo(n: int, rng: Generator) -> Signal:
    """Return a European two-tone siren, electronic or pneumatic."""
    low = rng.uniform(350, 850)
    ratio, each = rng.uniform(1.12, 1.6), rng.uniform(0.3, 1.1)
    frequency = alternate(n, [each, each * rng.uniform(0.7, 1.3)], [low, low * ratio], rng)
    return harmonics(doppler(smooth(frequency, rng.uniform(0.002, 0.05)), rng), rng.uniform(0.2, 2.0), rng)


def mechanical(n: int, rng: Generator) -> Signal:
    """Return a motor siren: rising and falling pitch with strong harmonics."""
    top, wind, coast = rng.uniform(350, 1100), rng.uniform(1.5, 5), rng.uniform(3, 12)
    t = (times(n) + rng.uniform(0, wind + coast)) % (wind + coast)
    up = np.where(t < wind, 1 - np.exp(-3 * t / wind), np.exp(-(t - wind) / coast * 1.5))
    return harmonics(doppler(top * (0.25 + 0.75 * up), rng), rng.uniform(0.2, 1.2), rng)
