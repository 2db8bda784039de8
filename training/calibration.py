"""Choose the temperature and the alarm threshold, on recordings that the model was not fitted to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anc.noise.classifier import vote
from anc.noise.network import softmax

MAX_CRIES = 0.05  # share of the foreign cries that may fire
MAX_OTHERS = 0.05  # share of other recordings without an emergency that may fire: many are brass and bells
LOWEST = 0.15  # threshold: below, a score says little


def temperature_of(
    logits: NDArray[np.floating], truth: NDArray[np.int64], groups: NDArray[np.float64]
) -> float:
    """Return the temperature that maximises the likelihood of the true labels.

    Parameters
    ----------
    logits : (n, classes) float
    truth : (n,) int
        True label of each row.
    groups : (classes, labels) float
        1 where a class belongs to a label.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, 2017
    """
    candidates = np.geomspace(0.05, 5, 120)
    losses = [
        -np.mean(np.log((softmax(logits / t) @ groups)[np.arange(len(truth)), truth] + 1e-12))
        for t in candidates
    ]
    return float(candidates[int(np.argmin(losses))])


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


def shift_for(threshold: float, operating_point: float) -> float:
    """Return the offset of the logits that moves a threshold to `operating_point`."""
    threshold = float(np.clip(threshold, 1e-4, 1 - 1e-4))
    return float(np.log(operating_point / (1 - operating_point)) - np.log(threshold / (1 - threshold)))
