"""Building blocks of synthetic sounds: tones, envelopes, noise, movement and rooms."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from anc.dsp.convolution import fft_filter

RATE = 16_000  # Hz
Signal = NDArray[np.float64]
Maker = Callable[[int, Generator], Signal]  # samples to make, random generator


def harmonics(frequency: Signal, rolloff: float, rng: Generator, max_harmonics: int = 24) -> Signal:
    """Return a tone of `frequency`, Hz per sample, whose k-th harmonic has amplitude ``k ** -rolloff``."""
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    out = np.zeros(len(frequency))
    for k in range(1, max_harmonics + 1):
        if k * frequency.min() > RATE / 2:
            break
        audible = k * frequency < RATE / 2 * 0.95
        out += k**-rolloff * rng.uniform(0.4, 1.0) * np.sin(k * phase + rng.uniform(0, 2 * np.pi)) * audible
    return out / np.max(np.abs(out) + 1e-9)


def times(n: int) -> Signal:
    """Return the time of each of `n` samples in seconds."""
    return np.arange(n) / RATE


def alternate(n: int, periods: list[float], values: list[float], rng: Generator) -> Signal:
    """Return a periodic sequence of `values`, each for its period in seconds, from a random phase."""
    ends = np.cumsum(periods)
    t = (times(n) + rng.uniform(0, ends[-1])) % ends[-1]
    return np.array(values)[np.searchsorted(ends, t, side="right").clip(0, len(values) - 1)]


def smooth(x: Signal, seconds: float) -> Signal:
    """Return the moving average of x over `seconds`."""
    width = max(int(seconds * RATE), 1)
    return np.convolve(np.pad(x, width, mode="edge"), np.ones(width) / width, mode="same")[width:-width]


def coloured_noise(n: int, slope: float, rng: Generator) -> Signal:
    """Return noise whose power falls by `slope` dB per octave above 60 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 60)
    out = np.fft.irfft(spectrum * (frequency / 60) ** (-slope / 6.02), n)
    return out / np.max(np.abs(out))


def glide(n: int, low: float, high: float, every: float, rng: Generator) -> Signal:
    """Return a pitch that varies between `low` and `high` Hz, with a new target every `every` seconds."""
    knots = max(int(n / RATE / every) + 2, 3)
    pitches = np.exp(rng.uniform(np.log(low), np.log(high), knots))
    return np.interp(np.linspace(0, knots - 1, n), np.arange(knots), pitches)


def blasts(n: int, rng: Generator, on: tuple[float, float], off: tuple[float, float]) -> Signal:
    """Return an envelope of blasts of random length `on` and gaps of random length `off`, in seconds."""
    envelope, i = np.zeros(n), -int(rng.uniform(0, on[1]) * RATE)
    while i < n:
        length = int(rng.uniform(*on) * RATE)
        envelope[max(i, 0) : max(i + length, 0)] = rng.uniform(0.6, 1)
        i += length + int(rng.uniform(*off) * RATE)
    return smooth(envelope, rng.uniform(0.005, 0.04))


def doppler(frequency: Signal, rng: Generator) -> Signal:
    """Return `frequency` with the Doppler shift of a source that passes at up to 30 m/s."""
    t = times(len(frequency))
    speed, nearest, passes = rng.uniform(0, 30), rng.uniform(3, 40), rng.uniform(-3, t[-1] + 3)
    along = speed * (t - passes)
    return frequency / (1 + speed / 343 * along / np.hypot(along, nearest))


def distort_and_reverberate(dry: Signal, rng: Generator) -> Signal:
    """Return a sound with loudspeaker distortion and reverberation, peak 0.5."""
    drive = rng.choice([0.0, rng.uniform(1, 6)])
    out = np.tanh(drive * dry) if drive else dry
    if rng.uniform() < 0.7:
        decay = rng.uniform(0.05, 0.9)  # seconds to -60 dB
        t = times(int(decay * RATE))
        echoes = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay)
        direct_db = rng.uniform(-6, 12)  # over the echoes
        echoes[0] = np.sqrt(np.sum(echoes**2)) * 10 ** (direct_db / 20)
        out = fft_filter(echoes, out)
    return 0.5 * out / np.max(np.abs(out) + 1e-9)
