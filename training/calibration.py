"""Choose the temperature and the alarm thresholds, on recordings that the model was not fitted to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anc.noise.classifier import KINDS
from anc.noise.network import softmax

# Allowed share of false alarms among voted quarter-second decisions without an emergency: 1 % in total.
MAX_FALSE_ALARM_RATE = {"siren": 0.006, "horn": 0.002, "alarm": 0.002}


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


def voted(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores after the two-of-three vote, (n, 3) to (max(n - 2, 1), 3)."""
    if len(scores) < 3:
        return np.asarray(scores.min(axis=0, keepdims=True))
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(scores, 3, axis=0), axis=-1))


def thresholds_of(negatives: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the raw scores that voted decisions on `negatives` exceed at `MAX_FALSE_ALARM_RATE`.

    Parameters
    ----------
    negatives : sequence of (windows, 3) float
        Raw scores of recordings without an emergency.
    """
    decisions = np.concatenate([voted(scores) for scores in negatives])
    return np.array(
        [np.quantile(decisions[:, i], 1 - MAX_FALSE_ALARM_RATE[kind]) for i, kind in enumerate(KINDS)]
    )


def shift_for(thresholds: NDArray[np.float64], operating_point: float) -> NDArray[np.float64]:
    """Return the offset of the logits that moves each threshold to `operating_point`."""
    thresholds = np.clip(thresholds, 1e-4, 1 - 1e-4)
    return np.log(operating_point / (1 - operating_point)) - np.log(thresholds / (1 - thresholds))
