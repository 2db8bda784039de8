"""Synthesise tonal sounds that are no alarm: tones, whistles, motors, telephones and melodies."""

import numpy as np
from numpy.random import Generator

from training.synthesis.signals import RATE, Signal, blasts, coloured_noise, harmonics, smooth

SEMITONES = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])


def noisy(tone: Signal, rng: Generator, most_db: float = 5.0) -> Signal:
    """Return a tone in noise at least 50 and at most `-most_db` dB below it, or without noise."""
    if rng.uniform() < 0.3:
        return tone
    noise = coloured_noise(len(tone), rng.uniform(0, 6), rng)
    gain = np.sqrt(np.mean(tone**2) / np.mean(noise**2)) * 10 ** (rng.uniform(-50, most_db) / 20)
    return tone + gain * noise


def _started(tone: Signal, rng: Generator) -> Signal:
    """Return a tone that in half of all cases starts or ends within the sound."""
    n = len(tone)
    if rng.uniform() < 0.5:
        return tone
    edge, seconds = int(rng.uniform(0.05, 0.8) * n), rng.uniform(0.002, 0.3)
    gate = (np.arange(n) >= edge).astype(float)
    return tone * smooth(gate if rng.uniform() < 0.7 else 1 - gate, seconds)


def steady_tone(n: int, rng: Generator) -> Signal:
    """Return a test tone, a calibrator, mains hum or feedback: one pitch that does not move."""
    low, high = (45, 130) if rng.uniform() < 0.15 else (130, 5000)
    pitch = np.exp(rng.uniform(np.log(low), np.log(high)))
    if rng.uniform() < 0.25:
        pitch = rng.choice([94.0, 250.0, 440.0, 500.0, 1000.0, 2000.0])
    count = int(rng.choice([1, 1, 2, 4, 10]))
    return noisy(_started(harmonics(np.full(n, pitch), rng.uniform(0.5, 3), rng, count), rng), rng)


def whistled_melody(n: int, rng: Generator) -> Signal:
    """Return a whistled tune: nearly pure notes of a scale with slides, vibrato and breath."""
    beat, key = rng.uniform(0.12, 0.6), rng.uniform(500, 1300)
    length = int(beat * RATE)
    notes = key * 2 ** (rng.choice(SEMITONES, n // length + 2) / 12)
    held = np.repeat(notes, rng.integers(1, 3, len(notes)) * length)[:n]
    pitch = smooth(held, rng.uniform(0.005, 0.12))
    rate, depth = rng.uniform(4, 7), rng.uniform(0, 0.02)
    pitch = pitch * (1 + depth * np.sin(2 * np.pi * rate * np.arange(n) / RATE))
    breath = rng.uniform(0, 0.08) * np.diff(rng.standard_normal(n + 1))
    return noisy((harmonics(pitch, rng.uniform(2, 4), rng, 3) + breath) * _articulation(n, length, rng), rng)


def melody(n: int, rng: Generator) -> Signal:
    """Return a tune of separate, steady notes, as of a flute, a music box, a toy or a whistling person.

    Unlike the tones of a siren or an alarm, the notes have more than two pitches.
    """
    beat, key, edge = rng.uniform(0.12, 0.7), rng.uniform(200, 2200), rng.uniform(0.002, 0.06)
    equal = rng.uniform() < 0.5
    degrees = np.cumsum(rng.integers(-2, 3, n // int(beat * RATE / 2) + 2)) % len(SEMITONES)
    lengths = np.full(len(degrees), beat) if equal else beat * rng.choice([0.5, 1, 1, 1.5, 2], len(degrees))
    ends = np.cumsum((lengths * RATE).astype(int))
    note = np.searchsorted(ends, np.arange(n), side="right").clip(0, len(degrees) - 1)
    pitch = (key * 2 ** (SEMITONES[degrees] / 12))[note]
    since = np.arange(n) - np.concatenate([[0], ends])[note]
    left = ends[note] - np.arange(n) - rng.uniform(0, 0.4) * rng.choice([0, 1]) * beat * RATE
    envelope = np.clip(np.minimum(since, left) / (edge * RATE), 0, 1)
    decay = np.exp(-since / RATE * rng.choice([0, 0, rng.uniform(0.5, 8)]))
    vibrato = rng.uniform(0, 0.015) * rng.choice([0, 1])
    pitch = pitch * (1 + vibrato * np.sin(2 * np.pi * rng.uniform(4, 7) * since / RATE))
    tone = harmonics(pitch, rng.uniform(0.5, 4), rng, int(rng.choice([1, 2, 4, 12])))
    return noisy(tone * envelope * decay, rng)


def keyed_tone(n: int, rng: Generator) -> Signal:
    """Return a tone that is keyed without a regular pattern: Morse code, modems, games, key clicks."""
    unit = rng.uniform(0.03, 0.15)
    lengths = unit * rng.choice([1, 1, 3], 2 * int(n / RATE / unit) + 2)
    lengths[1::2] = unit * rng.choice([1, 1, 1, 3, 7], len(lengths[1::2]))
    gate = (np.searchsorted(np.cumsum(lengths), np.arange(n) / RATE, side="right") + 1) % 2
    low = rng.uniform(400, 2500)
    if rng.uniform() < 0.3:  # frequency shift keying at 50 to 600 symbols per second
        symbol = (np.arange(n) * rng.uniform(50, 600) / RATE).astype(int)
        pitch = (low * rng.uniform(1.05, 1.4) ** rng.integers(0, 2, symbol[-1] + 1))[symbol]
        return noisy(_started(harmonics(pitch, 2, rng, 2), rng), rng)
    tone = harmonics(np.full(n, low), rng.uniform(1, 4), rng, 3)
    return noisy(tone * smooth(gate.astype(np.float64), 0.004), rng)


def _articulation(n: int, length: int, rng: Generator) -> Signal:
    """Return an envelope with a dip between notes, of random depth."""
    position = np.arange(n) % length / length
    return 1 - rng.uniform(0, 1) * smooth((position > rng.uniform(0.75, 0.97)).astype(float), 0.015)


def kettle(n: int, rng: Generator) -> Signal:
    """Return a kettle: a whistle whose pitch and level rise and then hold, over boiling water."""
    t, since = np.arange(n) / RATE, rng.uniform(-2, 8)
    progress = 1 - np.exp(-np.maximum(t + since, 0) / rng.uniform(0.6, 3))
    low = rng.uniform(900, 2600)
    pitch = low * (1 + rng.uniform(0.1, 0.8) * progress)
    pitch *= 1 + rng.uniform(0, 0.012) * np.sin(2 * np.pi * rng.uniform(3, 12) * t)
    steam = coloured_noise(n, rng.uniform(-3, 3), rng) * rng.uniform(0.05, 0.8)
    return progress * harmonics(pitch, rng.uniform(1.5, 4), rng, 4) + steam


def brakes(n: int, rng: Generator) -> Signal:
    """Return brakes and wheels of trams and trains: a squeal that falls or holds, over rolling noise."""
    t = np.arange(n) / RATE
    start, fall = rng.uniform(500, 3800), rng.choice([0.0, rng.uniform(0.1, 0.8)])
    pitch = start * (1 - fall * np.clip((t + rng.uniform(-1, 3)) / rng.uniform(3, 9), 0, 1))
    pitch *= 1 + rng.uniform(0, 0.02) * np.sin(2 * np.pi * rng.uniform(5, 25) * t)
    rough = 1 + rng.uniform(0, 0.4) * smooth(rng.standard_normal(n), 0.01) * 10
    squeal = harmonics(pitch, rng.uniform(0.4, 2.5), rng, 6) * rough
    rolling = coloured_noise(n, rng.uniform(2, 7), rng)
    return squeal * 10 ** (rng.uniform(-15, 8) / 20) + rolling


def inverter(n: int, rng: Generator) -> Signal:
    """Return an electric motor that speeds up or slows down steadily, in road or rail noise."""
    t = np.arange(n) / RATE
    low, high = rng.uniform(120, 900), rng.uniform(1000, 4500)
    duration, offset = rng.uniform(3, 12), rng.uniform(0, 5)
    progress = np.clip((t + offset) / duration, 0, 1)
    pitch = low + (high - low) * (progress if rng.uniform() < 0.7 else 1 - progress)
    count = int(rng.choice([1, 2, 3, 5]))
    whine = harmonics(pitch, rng.uniform(0.3, 2), rng, count) * 10 ** (rng.uniform(-15, 10) / 20)
    return whine + coloured_noise(n, rng.uniform(2, 7), rng)


def motor_start(n: int, rng: Generator) -> Signal:
    """Return a household motor that starts, runs, changes load or stops: vacuum cleaner, mixer, drill."""
    t = np.arange(n) / RATE
    speed = rng.uniform(150, 900)
    begin, constant = rng.uniform(-4, 2), rng.uniform(0.15, 1.5)
    spin = np.where(t >= begin, 1 - np.exp(-np.maximum(t - begin, 0) / constant), 0)
    if rng.uniform() < 0.4:
        stop = begin + rng.uniform(1, 5)
        spin = np.where(t >= stop, np.exp(-np.maximum(t - stop, 0) / rng.uniform(0.3, 2)), spin)
    load = 1 - rng.uniform(0, 0.15) * smooth(blasts(n, rng, (0.3, 2), (0.3, 2)), 0.1)
    tones = harmonics(speed * (0.2 + 0.8 * spin) * load, rng.uniform(0.1, 1.2), rng, 20)
    hiss = coloured_noise(n, rng.uniform(-1, 4), rng) * 10 ** (rng.uniform(-10, 12) / 20)
    return (tones + hiss) * np.minimum(spin * 3, 1)


def telephone(n: int, rng: Generator) -> Signal:
    """Return tones of telephones: dialled digits, ringing, busy and dial tones of several countries."""
    if rng.uniform() < 0.5:
        rows, columns = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
        on, off = rng.uniform(0.05, 0.25), rng.uniform(0.03, 0.3)
        period = int((on + off) * RATE)
        digit = np.arange(n) // period
        count = int(digit[-1]) + 1
        gate = (np.arange(n) % period < on * RATE).astype(float)
        pair = [rng.choice(row, count).astype(float)[digit] for row in (rows, columns)]
    else:
        a, b = ((440, 480), (350, 440), (480, 620), (400, 450), (425, 425))[rng.integers(5)]
        on, off = ((2.0, 4.0), (9.0, 0.1), (0.5, 0.5), (0.4, 0.2), (1.0, 4.0))[rng.integers(5)]
        gate = ((np.arange(n) / RATE + rng.uniform(0, on + off)) % (on + off) < on).astype(float)
        pair = [np.full(n, float(a)), np.full(n, float(b))]
    tone = sum((np.sin(2 * np.pi * np.cumsum(p) / RATE) for p in pair), np.zeros(n))
    return noisy(tone * smooth(gate, 0.004), rng)


def lead_synthesiser(n: int, rng: Generator) -> Signal:
    """Return a synthesiser or a singer that glides between the notes of a melody, often over a beat."""
    beat, key = rng.uniform(0.2, 0.7), rng.uniform(150, 500)
    length = int(beat * RATE)
    notes = key * 2 ** (rng.choice(SEMITONES, n // length + 2) / 12)
    pitch = smooth(np.repeat(notes, length)[:n], rng.uniform(0.01, 0.5) * beat)
    lead = harmonics(pitch, rng.uniform(0.4, 2), rng, 12) * _articulation(n, length, rng)
    t = np.arange(n) / RATE % (beat * rng.choice([0.5, 1]))
    drum = np.sin(2 * np.pi * rng.uniform(45, 90) * t) * np.exp(-t * rng.uniform(5, 15))
    return noisy(lead + rng.uniform(0, 2) * drum, rng)
