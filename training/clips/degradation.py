"""Degrade sounds as rooms, distance, headsets, microphones, codecs and overload do."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import soundfile
from numpy.random import Generator

from anc.dsp.convolution import fft_filter
from training.synthesis import RATE, Signal

CODECS = (("OGG", "OPUS"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("WAV", "ULAW"), ("WAV", "GSM610"))


def reverberate(dry: Signal, rng: Generator, responses: Sequence[Signal] = ()) -> Signal:
    """Return a sound in a room or street: a measured response, or decaying noise after the direct sound."""
    if responses and rng.uniform() < 0.5:
        return np.asarray(fft_filter(responses[int(rng.integers(len(responses)))], dry), np.float64)
    decay = np.exp(rng.uniform(np.log(0.05), np.log(1.5)))  # seconds to -60 dB
    t = np.arange(int(decay * RATE)) / RATE
    echoes = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay)
    echoes[0] = np.sqrt(np.sum(echoes**2)) * 10 ** (rng.uniform(-6, 12) / 20)
    return np.asarray(fft_filter(echoes, dry), np.float64)


def distance(x: Signal, rng: Generator) -> Signal:
    """Return a source that passes or approaches: its level changes, and air absorbs high frequencies."""
    t = np.arange(len(x)) / RATE
    speed, nearest = rng.uniform(0, 25), rng.uniform(4, 80)
    metres = np.hypot(nearest, speed * (t - rng.uniform(-3, t[-1] + 3)))
    far = float(metres.mean() + rng.choice([0.0, rng.uniform(50, 400)]))
    nearer = np.asarray(x * metres.min() / metres, np.float64)
    return shape(nearer, lambda f: np.asarray(10 ** (-far * 0.02 * (f / 4000) ** 2 / 20)))


def shape(x: Signal, gain: Callable[[Signal], Signal]) -> Signal:
    """Return x filtered with a gain for each frequency, given as a function of Hz."""
    size = -(-len(x) // 1024) * 1024  # without large prime factors, so that the transform is fast
    spectrum = np.fft.rfft(x, size)
    frequencies = np.asarray(np.fft.rfftfreq(size, 1 / RATE), np.float64)
    return np.fft.irfft(spectrum * gain(frequencies), size)[: len(x)]


def band_limit(x: Signal, rng: Generator) -> Signal:
    """Return the sound of a telephone, a cheap microphone or a low sampling rate."""
    low = rng.choice([20.0, np.exp(rng.uniform(np.log(60), np.log(450)))])
    high = rng.choice([8000.0, rng.uniform(3300, 7500)])
    steep, order = rng.uniform(20, 200), rng.integers(1, 4)

    def gain(f: Signal) -> Signal:
        return (
            1
            / (1 + np.exp(np.clip((f - high) / steep, -50, 50)))
            / (1 + (low / (f + 1)) ** (2 * order)) ** 0.5
        )

    return shape(x, gain)


def in_headset(x: Signal, rng: Generator) -> Signal:
    """Return the sound at the ear in a headset: pads attenuate high frequencies, control low ones."""
    padding, control = rng.uniform(5, 30), rng.uniform(3, 25)
    highest = rng.uniform(400, 1500)
    ripple = rng.normal(0, 3, 24)  # dB, every third octave

    def gain(f: Signal) -> Signal:
        octaves = np.log2(np.maximum(f, 20) / 50)
        cup = padding * np.clip((octaves - 2) / 4.3, 0, 1)  # from 200 Hz to 4 kHz
        edge = np.clip(np.log2(highest / np.maximum(f, 20)) + 1, 0, 1) * np.clip(octaves + 1, 0, 1)
        uneven = np.interp(octaves, np.arange(24) / 3, ripple)
        return np.asarray(10 ** (-(cup + edge * (control + uneven)) / 20))

    return shape(x, gain)


def clip(x: Signal, rng: Generator) -> Signal:
    """Return the sound overloaded by up to 20 dB, hard or soft."""
    driven = x / (np.max(np.abs(x)) + 1e-9) * 10 ** (rng.uniform(2, 20) / 20)
    return np.tanh(driven) if rng.uniform() < 0.5 else np.clip(driven, -1, 1)


def encode(x: Signal, rng: Generator) -> Signal:
    """Return the sound after encoding and decoding with a lossy codec at a low rate."""
    container, codec = CODECS[rng.integers(len(CODECS))]
    narrow = codec in ("ULAW", "GSM610")
    peak = np.max(np.abs(x)) + 1e-9
    samples = x / peak * 0.9
    rate = RATE
    if narrow:
        samples, rate = shape(samples, lambda f: (f < RATE / 4.4).astype(float))[::2], RATE // 2
    file = io.BytesIO()
    level = None if narrow else float(rng.uniform(0.4, 0.99))
    soundfile.write(file, samples, rate, codec, format=container, compression_level=level)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float64")
    if narrow:
        decoded = np.interp(np.arange(len(x)) / 2, np.arange(len(decoded)), decoded)
    out = np.zeros(len(x))
    out[: len(decoded)] = decoded[: len(x)]
    return out * peak / 0.9


def record(x: Signal, rng: Generator) -> Signal:
    """Return the sound as a random device records it."""
    if rng.uniform() < 0.15:
        x = in_headset(x, rng)
    if rng.uniform() < 0.35:
        x = band_limit(x, rng)
    if rng.uniform() < 0.15:
        x = clip(x, rng)
    if rng.uniform() < 0.12:
        x = encode(x, rng)
    if rng.uniform() < 0.3:
        x = x + np.sqrt(np.mean(x**2)) * 10 ** (-rng.uniform(15, 50) / 20) * rng.standard_normal(len(x))
    loudness = np.sqrt(np.mean(x**2)) + 1e-9
    return np.clip(x / loudness * 10 ** (rng.uniform(-50, -8) / 20), -1, 1)
