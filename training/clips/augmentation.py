"""Augment log-mel spectrograms: mixing, noise, microphone response and masking.

Powers of uncorrelated sounds add, so spectrograms can be mixed like samples. Powers are (n, WINDOW, BANDS)
float32, relative to the byte 0 of a spectrogram.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from anc.noise.features import BANDS, WINDOW, band_edges

Powers = NDArray[np.float32]
POWER_OF_BYTE = (10 ** (np.arange(256) / 10)).astype(np.float32)
_CENTRES = band_edges()[1:-1]
_WIDTHS = ((band_edges()[2:] - band_edges()[:-2]) / 2).astype(np.float32)
_DEGREES = np.maximum(_WIDTHS / 24, 1)  # independent bins of the spectrum in a band


def mix(a: Powers, b: Powers, ratio_db: ArrayLike) -> Powers:
    """Return a + b with `b` scaled to be `ratio_db`, (n,), below `a`."""
    gain = _loudness(a) / _loudness(b) * 10 ** (-np.asarray(ratio_db) / 10)
    return a + gain[:, None, None].astype(np.float32) * b


def _loudness(x: Powers) -> NDArray[np.float32]:
    return np.asarray(x.mean(axis=1) @ _WIDTHS + 1e-9)


def coloured_noise(n: int, rng: Generator) -> Powers:
    """Return stationary noise with a random spectral slope and the fluctuation of its bandwidths."""
    fluctuation = np.empty((n, WINDOW, BANDS), np.float32)
    for band, degree in enumerate(_DEGREES):
        fluctuation[:, :, band] = rng.standard_gamma(degree, (n, WINDOW), dtype=np.float32) / degree
    slope_db = rng.uniform(-9, 1, (n, 1, 1)) * np.log2(_CENTRES / 1000)
    return fluctuation * (10 ** (slope_db / 10)).astype(np.float32)


def microphone_response(n: int, rng: Generator, spread: float = 4.0) -> NDArray[np.float32]:
    """Return random microphone responses in dB, (n, BANDS): six nodes on the mel axis, some band-limited."""
    nodes = rng.normal(0, spread, (n, 6))
    position = np.linspace(0, 5, BANDS)
    left = np.minimum(position.astype(int), 4)
    curve = nodes[:, left] * (1 - (position - left)) + nodes[:, left + 1] * (position - left)
    for i in np.flatnonzero(rng.uniform(size=n) < 0.1):
        curve[i] -= 12 * np.maximum(np.log2(rng.uniform(100, 400) / _CENTRES), 0)
    for i in np.flatnonzero(rng.uniform(size=n) < 0.08):
        curve[i, rng.uniform(3200, 7000) < _CENTRES] = -300  # telephone and 8 kHz recordings
    return curve.astype(np.float32)


def mask(x: NDArray[np.float32], rng: Generator) -> None:
    """Replace up to eight columns and eight bands of each spectrogram by its mean, in place."""
    for spectrogram in x:
        width, height = rng.integers(0, 9, 2)
        column, band = rng.integers(0, WINDOW - width), rng.integers(0, BANDS - height)
        mean = spectrogram.mean()
        spectrogram[column : column + width] = mean
        spectrogram[:, band : band + height] = mean


def augment(x: Powers, rng: Generator) -> NDArray[np.uint8]:
    """Add noise at 5 to 45 dB to a third, add a microphone response, and mask random parts."""
    noisy = np.flatnonzero(rng.uniform(size=len(x)) < 0.35)
    x = x.copy()
    x[noisy] = mix(x[noisy], coloured_noise(len(noisy), rng), rng.uniform(5, 45, len(noisy)))
    level = 10 * np.log10(x + 1e-3)
    level += microphone_response(len(x), rng)[:, None, :]
    mask(level, rng)
    return np.rint(np.clip(level, 0, 255)).astype(np.uint8)
