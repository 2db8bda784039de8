"""What a room, a microphone and chance do to a sound, done to its picture.

Powers of unrelated sounds add, so mixing works on pictures as it does on samples. Powers are relative to the
byte 0 of a picture, (n, WINDOW, BANDS) float32.
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
    """Add `b` to `a` so that `a` is `ratio_db` above it, (n,)."""
    gain = _loudness(a) / _loudness(b) * 10 ** (-np.asarray(ratio_db) / 10)
    return a + gain[:, None, None].astype(np.float32) * b


def _loudness(x: Powers) -> NDArray[np.float32]:
    return np.asarray(x.mean(axis=1) @ _WIDTHS + 1e-9)


def coloured(n: int, rng: Generator) -> Powers:
    """Steady noise with a random slope, fluctuating as noise in bands of this width does."""
    fluctuation = np.empty((n, WINDOW, BANDS), np.float32)
    for band, degree in enumerate(_DEGREES):
        fluctuation[:, :, band] = rng.standard_gamma(degree, (n, WINDOW), dtype=np.float32) / degree
    slope_db = rng.uniform(-9, 1, (n, 1, 1)) * np.log2(_CENTRES / 1000)
    return fluctuation * (10 ** (slope_db / 10)).astype(np.float32)


def response(n: int, rng: Generator, spread: float = 4.0) -> NDArray[np.float32]:
    """What a microphone adds in dB, (n, BANDS): six nodes over the mel axis; some lose lows, some highs."""
    nodes = rng.normal(0, spread, (n, 6))
    place = np.linspace(0, 5, BANDS)
    left = np.minimum(place.astype(int), 4)
    curve = nodes[:, left] * (1 - (place - left)) + nodes[:, left + 1] * (place - left)
    for i in np.flatnonzero(rng.uniform(size=n) < 0.1):
        curve[i] -= 12 * np.maximum(np.log2(rng.uniform(100, 400) / _CENTRES), 0)
    for i in np.flatnonzero(rng.uniform(size=n) < 0.08):
        curve[i, rng.uniform(3200, 7000) < _CENTRES] = -300  # telephone and 8 kHz recordings
    return curve.astype(np.float32)


def hide(x: NDArray[np.float32], rng: Generator) -> None:
    """Hide up to eight columns and eight bands of each picture behind its mean, in place."""
    for spectrogram in x:
        width, height = rng.integers(0, 9, 2)
        column, band = rng.integers(0, WINDOW - width), rng.integers(0, BANDS - height)
        mean = spectrogram.mean()
        spectrogram[column : column + width] = mean
        spectrogram[:, band : band + height] = mean


def disturb(x: Powers, rng: Generator) -> NDArray[np.uint8]:
    """What may happen to a sound on its way: noise at 5 to 45 dB, a microphone, hidden parts."""
    ratio_db = np.where(rng.uniform(size=len(x)) < 0.6, rng.uniform(5, 45, len(x)), 200.0)
    level = 10 * np.log10(mix(x, coloured(len(x), rng), ratio_db) + 1e-3)
    level += response(len(x), rng)[:, None, :]
    hide(level, rng)
    return np.rint(np.clip(level, 0, 255)).astype(np.uint8)
