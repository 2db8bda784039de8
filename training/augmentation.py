"""What a room, a microphone and chance do to a sound, done to its picture.

Powers of unrelated sounds add, so mixing works on pictures as it does on samples. All functions take and
return levels in dB, (n, WINDOW, BANDS) float32 relative to the byte 0 of a picture.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from anc.noise.features import BANDS, WINDOW, band_edges

Levels = NDArray[np.float32]


def mix(a: Levels, b: Levels, ratio_db: NDArray[np.float64]) -> Levels:
    """Add `b` to `a` so that `a` is `ratio_db` above it, (n,); the sum has the loudness of `a`."""
    gain = 10 * np.log10(_power(a) / _power(b))[:, None, None] - ratio_db[:, None, None]
    return (10 * np.log10(10 ** (a / 10) + 10 ** ((b + gain) / 10))).astype(np.float32)


def _power(x: Levels) -> NDArray[np.float64]:
    widths = (band_edges()[2:] - band_edges()[:-2]) / 2
    return np.mean(10 ** (x.astype(np.float64) / 10) @ widths, axis=1) + 1e-9


def coloured(n: int, rng: Generator) -> Levels:
    """Steady noise with a random smooth spectrum, fluctuating as noise in bands of this width does."""
    degrees = np.maximum(np.diff(band_edges())[:-1] / 24, 1)  # independent bins in a band
    power = rng.standard_gamma(degrees, (n, WINDOW, BANDS)) / degrees
    slope = rng.uniform(-9, 1, (n, 1, 1)) * np.log2(band_edges()[1:-1] / 1000)
    return (60 + slope + 10 * np.log10(power + 1e-6)).astype(np.float32)


def equalise(x: Levels, rng: Generator, spread: float = 4.0) -> Levels:
    """A microphone's response: six nodes over the mel axis, each `spread` dB off; some lose lows or highs."""
    nodes = rng.normal(0, spread, (len(x), 6))
    place = np.linspace(0, 5, BANDS)
    left = np.minimum(place.astype(int), 4)
    curve = nodes[:, left] * (1 - (place - left)) + nodes[:, left + 1] * (place - left)
    centres = band_edges()[1:-1]
    for i in np.flatnonzero(rng.uniform(size=len(x)) < 0.1):
        curve[i] -= 12 * np.maximum(np.log2(rng.uniform(100, 400) / centres), 0)
    out = x + curve[:, None, :].astype(np.float32)
    for i in np.flatnonzero(rng.uniform(size=len(x)) < 0.08):
        out[i, :, centres > rng.uniform(3200, 7000)] = 0  # telephone and 8 kHz recordings
    return out


def mask(x: Levels, rng: Generator) -> Levels:
    """Hide up to eight columns and eight bands of each picture behind its mean."""
    x = x.copy()
    for picture in x:
        width, height = rng.integers(0, 9, 2)
        column, band = rng.integers(0, WINDOW - width), rng.integers(0, BANDS - height)
        picture[column : column + width] = picture.mean()
        picture[:, band : band + height] = picture.mean()
    return x


def disturb(x: Levels, rng: Generator) -> NDArray[np.uint8]:
    """All that may happen to a picture: noise at 5 to 45 dB, a microphone, hidden parts; rounded to bytes."""
    noisy = mix(x, coloured(len(x), rng), rng.uniform(5, 45, len(x)))
    some = rng.uniform(size=len(x)) < 0.6
    x = equalise(np.where(some[:, None, None], noisy, x), rng)
    return np.rint(np.clip(mask(x, rng), 0, 255)).astype(np.uint8)
