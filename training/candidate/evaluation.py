"""Recall and false alarms of the candidate on recordings that it was not fitted to."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.candidate.classes import UNDECIDED, kind_of, noise_class
from training.candidate.thresholds import peak, threshold_of
from training.evaluation import Outputs, interval
from training.recordings import Recording


def is_negative(name: str) -> bool:
    """Return whether a class is certainly no emergency."""
    return name not in UNDECIDED and kind_of(name) is None


def fold_thresholds(
    scores: Outputs, recordings: Sequence[Recording], folds: NDArray[np.int64], cries: Sequence[float]
) -> dict[int, float]:
    """Return the threshold of each fold, chosen on the other folds and on foreign cries."""
    peaks = [
        (peak(s), int(f)) for s, r, f in zip(scores, recordings, folds, strict=True) if is_negative(r.name)
    ]
    return {
        int(fold): threshold_of(cries, [value for value, of in peaks if of != fold])
        for fold in np.unique(folds)
    }


def alarm_report(
    scores: Outputs, recordings: Sequence[Recording], folds: NDArray[np.int64], thresholds: dict[int, float]
) -> dict[str, Any]:
    """Return recall and false alarms by class and by source.

    Parameters
    ----------
    scores : list of (windows, kinds)
        Raw out-of-fold scores.
    recordings : sequence of Recording
    folds : (recordings,) int
    thresholds : dict
        Of each fold, chosen without it.
    """
    negative = np.array([is_negative(r.name) for r in recordings])
    fired = np.array([peak(s) >= thresholds[int(f)] for s, f in zip(scores, folds, strict=True)])
    windows = np.concatenate(
        [
            (s >= thresholds[int(f)]).any(axis=1)
            for s, f, no in zip(scores, folds, negative, strict=True)
            if no
        ]
    )
    classes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    sources: dict[str, dict[str, list[int]]] = defaultdict(lambda: {"alarms": [0, 0], "others": [0, 0]})
    for r, yes, no in zip(recordings, fired, negative, strict=True):
        _count(classes[noise_class(r.name)], yes)
        if r.name not in UNDECIDED:
            _count(sources[r.collection]["others" if no else "alarms"], yes)
    return {
        "thresholds": thresholds,
        "false_alarms": {
            "windows": round(float(windows.mean()), 4),
            "clips": round(float(fired[negative].mean()), 4),
            "clips_95": interval(
                fired[negative], [r.source for r, no in zip(recordings, negative, strict=True) if no]
            ),
            "negative_clips": int(negative.sum()),
        },
        "clips_fired": {
            name: counts for name, counts in sorted(classes.items()) if counts[0] or kind_of(name)
        },
        "sources": dict(sorted(sources.items())),
    }


def _count(counts: list[int], fired: bool) -> None:
    counts[0] += int(fired)
    counts[1] += 1


def measured_report(
    recordings: Sequence[Recording], peaks: Sequence[float], threshold: float
) -> dict[str, list[int]]:
    """Return how many of the recordings that were only measured fire, and how many there are, by class.

    The threshold was chosen on the crying babies among them, so that their figure is not independent.
    """
    classes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for recording, value in zip(recordings, peaks, strict=True):
        _count(classes[recording.name], value >= threshold)
    return dict(sorted(classes.items()))
