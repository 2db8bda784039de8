"""Synthesise everyday sounds that the collections lack or that resemble alarms."""

import numpy as np
from numpy.random import Generator

from training.synthesis.signals import RATE, Signal, blasts, coloured_noise, glide, harmonics, smooth


def speech(n: int, rng: Generator) -> Signal:
    """Return voiced syllables with moving formants, alternating with fricatives."""
    base = rng.choice([rng.uniform(85, 160), rng.uniform(160, 300)])
    voice = harmonics(
        glide(n, base * 0.8, base * 1.3, 0.25, rng), rng.uniform(0.2, 0.9), rng, max_harmonics=40
    )
    hiss = np.diff(rng.standard_normal(n + 1)) * 0.2
    syllables = blasts(n, rng, (0.06, 0.3), (0.02, 0.18))
    source = voice * syllables + hiss * blasts(n, rng, (0.03, 0.12), (0.15, 0.6))
    out = np.zeros(n)
    length = RATE // 10
    for start in range(0, n, length // 2):  # another vowel every 50 ms
        piece = source[start : start + length] * np.hanning(length)[: len(source[start : start + length])]
        frequency = np.fft.rfftfreq(len(piece), 1 / RATE)
        formants = (rng.uniform(250, 850), rng.uniform(800, 2400), rng.uniform(2200, 3400))
        gain = sum(10 ** (-9 * k / 20) / (1 + ((frequency - f) / 120) ** 2) for k, f in enumerate(formants))
        out[start : start + length] += np.fft.irfft(np.fft.rfft(piece) * (gain + 0.01), len(piece))
    return out / np.max(np.abs(out) + 1e-9)


def cry(n: int, rng: Generator) -> Signal:
    """Return cries of babies and cats: pitch arcs of 0.4 to 1.5 s with pauses."""
    base = rng.uniform(280, 750)
    vibrato = 1 + rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.uniform(4, 9) * np.arange(n) / RATE)
    arcs = blasts(n, rng, (0.4, 1.5), (0.15, 0.7))
    pitch = glide(n, base * 0.85, base * 1.25, 0.4, rng) * (0.8 + 0.2 * smooth(arcs, 0.15)) * vibrato
    breath = rng.uniform(0, 0.15) * rng.standard_normal(n)
    return (harmonics(pitch, rng.uniform(-0.2, 1.0), rng, max_harmonics=16) + breath) * arcs


def music(n: int, rng: Generator) -> Signal:
    """Return chords, a melody with vibrato or slides, and a beat, in random key and tempo."""
    beat = rng.uniform(0.2, 0.6)
    key, scale = rng.uniform(110, 240), np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    out = np.zeros(n)
    rolloffs = rng.uniform(0.6, 2.5, 3)
    length = int(beat * RATE)
    for start in range(0, n, length):
        m = min(length, n - start)
        decay = np.exp(-np.arange(m) / RATE * rng.choice([0.5, 3, 8]))
        for degree, part in zip(rng.integers(0, 7, 3), (0.5, 1, 1), strict=True):
            note = key * part * 2 ** (scale[degree] / 12)
            out[start : start + m] += 0.4 * decay * harmonics(np.full(m, note), rolloffs[0], rng, 10)
        if rng.uniform() < 0.5:
            hit = rng.standard_normal(min(m, RATE // 12))
            out[start : start + len(hit)] += rng.uniform(0, 0.8) * hit * np.exp(-np.arange(len(hit)) / 300)
    steps = [key * 2 ** (1 + scale[k] / 12) for k in rng.integers(0, 10, n // length + 2)]
    melody = smooth(np.repeat(steps, length)[:n].astype(float), rng.choice([0.003, 0.02, 0.15]))
    melody = melody * (1 + rng.uniform(0, 0.02) * np.sin(2 * np.pi * rng.uniform(4, 7) * np.arange(n) / RATE))
    out += (
        rng.uniform(0, 1.5) * harmonics(melody, rolloffs[1], rng, 12) * blasts(n, rng, (0.2, 2), (0.02, 0.5))
    )
    return out / np.max(np.abs(out) + 1e-9)


def bells(n: int, rng: Generator) -> Signal:
    """Return church bells: decaying inharmonic partials with repeated strikes."""
    out = np.zeros(n)
    for _ in range(rng.integers(1, 4)):
        strike = rng.uniform(180, 900)
        start, every = rng.uniform(-1, 1), rng.uniform(0.5, 2.5)
        while start < n / RATE:
            t = np.arange(n) / RATE - start
            for ratio in (0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 3.01, 4.17):
                partial = strike * ratio * rng.uniform(0.998, 1.002)
                decay = np.exp(-np.maximum(t, 0) * rng.uniform(0.5, 1.5) * ratio) * (t > 0)
                out += rng.uniform(0.1, 1) / ratio**0.5 * np.sin(2 * np.pi * partial * t) * decay
            start += every * rng.uniform(0.9, 1.1)
    return out / np.max(np.abs(out) + 1e-9)


def chirps(n: int, rng: Generator) -> Signal:
    """Return birdsong: short sweeps at high pitch."""
    out = np.zeros(n)
    base, every = rng.uniform(1500, 5000), rng.uniform(0.1, 0.6)
    start = 0.0
    while start < n / RATE:
        m = int(rng.uniform(0.03, 0.25) * RATE)
        i = int(start * RATE)
        pitch = np.linspace(base * rng.uniform(0.7, 1.4), base * rng.uniform(0.7, 1.4), m).clip(800, 7500)
        m = len(out[i : i + m])
        out[i : i + m] += (harmonics(pitch, 3, rng, 3) * np.hanning(len(pitch)))[:m]
        start += every * rng.uniform(0.5, 2)
    return out


def whine(n: int, rng: Generator) -> Signal:
    """Return motors and turbines: steady or slowly drifting tones in noise."""
    tones = np.zeros(n)
    for _ in range(rng.integers(1, 4)):
        low = rng.uniform(80, 3000)
        tones += harmonics(glide(n, low, low * rng.uniform(1, 1.08), 2.0, rng), rng.uniform(0.5, 3), rng)
    return tones / 3 + 10 ** (-rng.uniform(0, 20) / 20) * 3 * coloured_noise(n, rng.uniform(0, 6), rng)


def cabin(n: int, rng: Generator) -> Signal:
    """Return airliner cabin noise: broadband boundary-layer rumble with weak fan tones."""
    rumble = coloured_noise(n, rng.uniform(3.5, 8), rng)
    fan = harmonics(np.full(n, rng.uniform(70, 180)), rng.uniform(0.8, 2), rng, 8)
    sway = 1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.1, 1) * np.arange(n) / RATE)
    return (rumble + rng.uniform(0, 0.15) * fan) * sway
