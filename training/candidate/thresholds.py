"""Choose the alarm threshold on recordings that the model was not fitted to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anc.noise.classifier import vote

MAX_CRIES = 0.05  # share of the foreign cries that may fire
MAX_OTHERS = 0.10  # share of other recordings without an emergency that may fire: many are brass and bells
LOWEST = 0.15  # threshold: below, a score says little


def peak(scores: NDArray[np.float64]) -> float:
    """Return the threshold up to which a recording fires, from the scores of its windows, (n, kinds)."""
    return float(vote(scores).max())


def threshold_of(cries: Sequence[float], others: Sequence[float]) -> float:
    """Return the lowest threshold at which `MAX_CRIES` and `MAX_OTHERS` are kept.

    Parameters
    ----------
    cries, others : sequence of float
        `peak` of recordings of crying babies, and of other recordings without an emergency.
    """
    limits = [
        np.quantile(np.asarray(peaks), 1 - share, method="higher") + 1e-6
        for peaks, share in ((cries, MAX_CRIES), (others, MAX_OTHERS))
        if len(peaks)
    ]
    return float(np.clip(max(limits, default=0.5), LOWEST, 0.95))
