"""Synthesise horns and fire trucks.

Air horns have partials that beat, jitter and air noise: stacks of pure harmonics sound like an organ.
"""

import numpy as np
from numpy.random import Generator

from training.synthesis.signals import RATE, Signal, blasts, harmonics
from training.synthesis.sirens import mechanical, wail, yelp
from training.synthesis.vehicles import truck

# Frequency ratios of the trumpets of one horn, and how often each is drawn.
CHORDS = (
    ((1.0,), 0.10),
    ((1.0, 1.18), 0.25),
    ((1.0, 1.26), 0.25),
    ((1.0, 1.33), 0.10),
    ((1.0, 1.5), 0.10),
    ((1.0, 1.19, 1.5), 0.08),
    ((1.0, 1.26, 1.5, 1.68), 0.06),
    ((1.0, 1.19, 1.41, 1.68, 2.0), 0.06),
)


def car_horn(n: int, rng: Generator) -> Signal:
    """Return blasts of a car horn with one tone or two about a third apart."""
    low = rng.uniform(300, 520)
    pair = [low, low * rng.uniform(1.15, 1.35)] if rng.uniform() < 0.8 else [low]
    tone = sum((harmonics(np.full(n, note), rng.uniform(0.0, 0.9), rng, 20) for note in pair), np.zeros(n))
    return tone * blasts(n, rng, (0.08, 2.0), (0.08, 1.0)) / len(pair)


def wander(n: int, rng: Generator, rate: float, depth: float) -> Signal:
    """Return a random factor around 1 with deviation `depth` and about `rate` changes a second."""
    knots = max(int(n / RATE * rate) + 3, 4)
    return 1 + depth * np.interp(np.linspace(0, knots - 1, n), np.arange(knots), rng.standard_normal(knots))


def gates(n: int, rng: Generator, on: tuple[float, float], off: tuple[float, float]) -> Signal:
    """Return 1 during blasts of random length `on` and 0 in gaps of random length `off`, in seconds."""
    gate, i = np.zeros(n), -int(rng.uniform(0, on[1]) * RATE)
    while i < n:
        length = int(rng.uniform(*on) * RATE)
        gate[max(i, 0) : max(i + length, 0)] = 1
        i += length + int(rng.uniform(*off) * RATE)
    return gate


def pressure_of(gate: Signal, rise_s: float, fall_s: float) -> Signal:
    """Return the pressure that a valve builds up and releases exponentially, in steps of 5 ms."""
    step = RATE // 200
    targets = gate[::step]
    pressure = np.empty(len(targets))
    level = 0.0
    for i, target in enumerate(targets):
        constant = rise_s if target > level else fall_s
        level += (target - level) * (1 - np.exp(-step / (constant * RATE)))
        pressure[i] = level
    return np.interp(np.arange(len(gate)), np.arange(len(targets)) * step, pressure)


def trumpet(note: float, gate: Signal, brightness: float, rng: Generator) -> Signal:
    """Return one trumpet: its pitch rises with the pressure, and its partials fluctuate independently."""
    n = len(gate)
    pressure = pressure_of(gate, rng.uniform(0.01, 0.08), rng.uniform(0.01, 0.06))
    pitch = note * (1 - rng.uniform(0.01, 0.08) * (1 - pressure))
    pitch *= wander(n, rng, rng.uniform(5, 30), rng.uniform(0.0005, 0.004))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    corner, slope = rng.uniform(800, 3000) * brightness, rng.uniform(1.0, 2.5)
    cutoff = note * rng.uniform(0.7, 1.8)  # the bell does not radiate what lies below
    tone = np.zeros(n)
    for k in range(1, int(7500 / note) + 1):
        frequency = k * note
        gain = 10 ** (rng.normal(0, 4) / 20) / (1 + (frequency / corner) ** slope)
        gain /= 1 + (cutoff / frequency) ** 2
        flutter = wander(n, rng, rng.uniform(8, 40), rng.uniform(0.05, 0.3))
        tone += gain * np.sin(k * phase + rng.uniform(0, 2 * np.pi)) * flutter
    air = np.diff(rng.standard_normal(n + 1)) * rng.uniform(0.02, 0.2)
    return tone / np.sqrt(np.mean(tone**2) + 1e-12) * pressure + air * pressure * (1.5 - pressure)


def air_horns(n: int, rng: Generator) -> Signal:
    """Return blasts of one to five pneumatic trumpets, as on fire trucks, lorries and trains."""
    chords, odds = zip(*CHORDS, strict=True)
    ratios = chords[rng.choice(len(chords), p=odds)]
    base, brightness = rng.uniform(140, 420), rng.uniform(0.7, 1.6)
    gate = gates(n, rng, (0.25, 2.5), (0.1, 1.0))
    horn = np.zeros(n)
    for ratio in ratios:
        note = base * ratio * rng.uniform(0.985, 1.015)
        horn += rng.uniform(0.5, 1) * trumpet(note, gate, brightness, rng)
    horn /= np.max(np.abs(horn)) + 1e-9
    drive = rng.uniform(0, 3)
    return np.tanh(drive * horn) / np.tanh(drive) if drive > 0.6 else horn


def fire_truck(n: int, rng: Generator) -> Signal:
    """Return air horns over a weaker siren and a truck, which is difficult to detect."""
    siren = (mechanical, wail, yelp)[rng.choice(3, p=(0.45, 0.35, 0.2))]
    weaker = 10 ** (-rng.uniform(0, 15) / 20) * siren(n, rng)
    return air_horns(n, rng) + weaker + 10 ** (-rng.uniform(3, 20) / 20) * truck(n, rng)
