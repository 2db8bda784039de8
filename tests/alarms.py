"""Alarm sounds made by formula, without the training packages."""

import numpy as np


def siren(seconds: float, rate: int) -> np.ndarray:
    """Return a wailing siren with harmonics, (n,), which every model must detect."""
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(1000 - 400 * np.cos(2 * np.pi * t / 3)) / rate
    return 0.2 * sum(np.sin(k * phase) / k for k in (1, 2, 3))
