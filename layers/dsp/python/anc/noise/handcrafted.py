"""Handcrafted features: average spectrum of a window, its variation and modulation."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anc.noise.features import BANDS, WINDOW

Array = NDArray[np.float32]
CEPSTRA = 20
MODULATIONS = 12  # Hz 1 to 12
GROUPS = 8  # of bands, for the modulation spectrum


def handcrafted_features(x: Array) -> Array:
    """Return statistics of windows for a small model.

    Parameters
    ----------
    x : (n, BANDS, WINDOW, 2) float32
        From `network_input`.

    Returns
    -------
    (n, 80 * 4 + 20 * 4 + 8 * 12 + 6) float32
        Per band mean and deviation, deviation of the difference in time and of the prominence; per cepstral
        coefficient mean and deviation, and those of its difference; modulation spectrum of eight groups of
        bands at 1 to 12 Hz; quantiles of the loudness over time.
    """
    level, prominence = x[..., 0], x[..., 1]
    change = np.diff(level, axis=2)
    cepstra = _cosines() @ level
    cepstral_change = cepstra[:, :, 4:] - cepstra[:, :, :-4]
    groups = level.reshape(len(x), GROUPS, BANDS // GROUPS, WINDOW).mean(axis=2)
    groups = groups - groups.mean(axis=2, keepdims=True)
    modulation = np.abs(np.fft.rfft(groups, axis=2))[:, :, 1 : MODULATIONS + 1]
    loudness = np.sort(level.mean(axis=1), axis=1)[:, np.linspace(0, WINDOW - 1, 6).astype(int)]
    parts = [
        level.mean(axis=2),
        level.std(axis=2),
        change.std(axis=2),
        prominence.std(axis=2),
        cepstra.mean(axis=2),
        cepstra.std(axis=2),
        np.abs(cepstral_change).mean(axis=2),
        cepstral_change.std(axis=2),
        np.log1p(modulation).reshape(len(x), -1),
        loudness,
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def _cosines() -> Array:
    k, band = np.arange(CEPSTRA)[:, None], np.arange(BANDS)
    return (np.cos(np.pi * k * (band + 0.5) / BANDS) * np.sqrt(2 / BANDS)).astype(np.float32)
