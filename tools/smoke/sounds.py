"""Test signals of the smoke test: a noise that can be cancelled, and a siren."""

import io

import numpy as np
import soundfile

from anc.pcm import float_to_int16

RATE = 16_000
SECONDARY = np.array([0.0, 0.0, 0.8, 0.3, -0.1], np.float32)
PRIMARY = np.concatenate([np.zeros(6), [0.7, 0.4, -0.2]])  # delayed enough for causal control


def noise(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and d: coloured noise, and the same at the ear with microphone noise."""
    white, microphone = np.random.default_rng(7).standard_normal((2, samples))
    x = 0.1 * np.convolve(white, [1.0, 0.9, 0.6, 0.3])[:samples]
    return x, np.convolve(x, PRIMARY)[:samples] + 0.005 * microphone


def siren(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and d: a wail between 500 and 1400 Hz with overtones, and the same at the ear."""
    t = np.arange(samples) / RATE
    phase = 2 * np.pi * np.cumsum(950 + 450 * np.sin(2 * np.pi * t / 3)) / RATE
    x = np.sum([0.12 / k * np.sin(k * phase) for k in (1, 2, 3)], axis=0)
    return x, np.convolve(x, PRIMARY)[:samples]


def pcm(x: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return both channels as an (n, 2) int16 array."""
    return float_to_int16(np.column_stack([x, d]))


def wav(x: np.ndarray, d: np.ndarray) -> bytes:
    """Return both channels as a WAV file."""
    file = io.BytesIO()
    soundfile.write(file, pcm(x, d), RATE, format="WAV")
    return file.getvalue()


def attenuation_db(w: np.ndarray, x: np.ndarray, d: np.ndarray) -> float:
    """Return the attenuation of the second half of d by control filter w, in dB."""
    e = d - np.convolve(np.convolve(x, w), SECONDARY)[: len(d)]
    half = slice(len(d) // 2, None)
    return float(10 * np.log10(np.mean(d[half] ** 2) / np.mean(e[half] ** 2)))
