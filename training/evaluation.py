"""Metrics of a model on recordings that it was not fitted to."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc.noise.classifier import KINDS
from anc.noise.network import softmax
from training.calibration import MAX_OTHERS, peak, threshold_of
from training.recordings import Recording
from training.taxonomy import UNDECIDED, is_negative, kind_of, noise_class

Outputs = list[NDArray[np.float64]]  # per recording, (windows, classes)
OPERATING_POINTS = (0.10, MAX_OTHERS, 0.02, 0.01)  # shares of recordings without an emergency that fire


def interval(right: NDArray[np.bool_], sources: Sequence[str]) -> list[float]:
    """Return the 95 % confidence interval of a share, by bootstrap over sources."""
    _, group = np.unique(sources, return_inverse=True)
    hits = np.bincount(group, weights=right)
    sizes = np.bincount(group)
    drawn = np.random.default_rng(0).integers(0, len(sizes), (4000, len(sizes)))
    shares = hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return [round(float(q), 4) for q in np.quantile(shares, [0.025, 0.975])]


def noise_report(
    probabilities: Outputs,
    truth: NDArray[np.int64],
    names: Sequence[str],
    folds: NDArray[np.int64],
    recordings: Sequence[Recording],
) -> dict[str, Any]:
    """Return accuracy per clip, window and collection, recall per class, confusion and calibration error.

    The prediction for a clip is the normalised geometric mean of its windows' probabilities.

    Parameters
    ----------
    probabilities : list of (windows, classes)
    truth : (recordings,) int
    names : sequence of str
        Class names.
    folds : (recordings,) int
    recordings : sequence of Recording
    """
    clip = np.array([np.log(p + 1e-6).mean(axis=0) for p in probabilities])
    predicted = clip.argmax(axis=1)
    right = predicted == truth
    windows = np.array([np.mean(p.argmax(axis=1) == t) for p, t in zip(probabilities, truth, strict=True)])
    counts = np.array([len(p) for p in probabilities])
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (truth, predicted), 1)
    each = np.concatenate(probabilities)
    each_right = each.argmax(axis=1) == np.repeat(truth, counts)
    per_fold = [
        {
            "fold": int(fold),
            "clips": int(np.sum(folds == fold)),
            "clip_accuracy": round(float(right[folds == fold].mean()), 4),
            "window_accuracy": round(
                float(np.average(windows[folds == fold], weights=counts[folds == fold])), 4
            ),
        }
        for fold in np.unique(folds)
    ]
    return {
        "clips": len(truth),
        "windows": int(counts.sum()),
        "clip_accuracy": round(float(right.mean()), 4),
        "clip_accuracy_95": interval(right, [r.source for r in recordings]),
        "window_accuracy": round(float(each_right.mean()), 4),
        "folds": per_fold,
        "recall": {
            n: round(float(right[truth == i].mean()), 4) for i, n in enumerate(names) if (truth == i).any()
        },
        "sources": _by_collection(recordings, right),
        "classes": list(names),
        "confusion": confusion.tolist(),
        "calibration_error": {
            "window": calibration_error(each.max(axis=1), each_right),
            "clip": calibration_error(softmax(clip).max(axis=1), right),
        },
    }


def _by_collection(recordings: Sequence[Recording], right: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Return how many recordings of each collection are right, and how many there are."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for recording, yes in zip(recordings, right, strict=True):
        _count(counts[recording.collection], bool(yes))
    return dict(sorted(counts.items()))


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over fifteen bins of confidence."""
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [
        abs(confidence[bins == b].mean() - right[bins == b].mean()) * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return round(float(np.sum(gaps)), 4)


def fold_thresholds(
    scores: Outputs, recordings: Sequence[Recording], folds: NDArray[np.int64], cries: Sequence[float]
) -> dict[int, float]:
    """Return the threshold of each fold, chosen on the other folds and on foreign cries.

    A single fold cannot spare itself.
    """
    peaks = [
        (peak(s), int(f)) for s, r, f in zip(scores, recordings, folds, strict=True) if is_negative(r.name)
    ]
    return {
        int(fold): threshold_of(
            cries, [value for value, of in peaks if of != fold] or [value for value, _ in peaks]
        )
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
    classes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    sources: dict[str, dict[str, list[int]]] = defaultdict(lambda: {"alarms": [0, 0], "others": [0, 0]})
    for r, yes, no in zip(recordings, fired, negative, strict=True):
        _count(classes[noise_class(r.name)], yes)
        if r.name not in UNDECIDED:
            _count(sources[r.collection]["others" if no else "alarms"], yes)
    report: dict[str, Any] = {
        "thresholds": thresholds,
        "clips_fired": {
            name: counts for name, counts in sorted(classes.items()) if counts[0] or kind_of(name)
        },
        "sources": dict(sorted(sources.items())),
    }
    if negative.any():
        report["operating_points"] = [
            operating_point(scores, recordings, share) for share in OPERATING_POINTS
        ]
        windows = [
            (s >= thresholds[int(f)]).any(axis=1)
            for s, f, no in zip(scores, folds, negative, strict=True)
            if no
        ]
        originals = [r.source for r, no in zip(recordings, negative, strict=True) if no]
        report["false_alarms"] = {
            "windows": round(float(np.concatenate(windows).mean()), 4),
            "clips": round(float(fired[negative].mean()), 4),
            "clips_95": interval(fired[negative], originals),
            "negative_clips": int(negative.sum()),
        }
    return report


def operating_point(scores: Outputs, recordings: Sequence[Recording], share: float) -> dict[str, Any]:
    """Return the threshold at which a share of the recordings without an emergency fires, and what is missed.

    Returns
    -------
    dict
        ``others``, that share; ``threshold``; and for each of `KINDS` how many of its recordings are missed,
        and how many there are.
    """
    peaks = np.array([peak(s) for s in scores])
    others = peaks[[is_negative(r.name) for r in recordings]]
    threshold = float(np.quantile(others, 1 - share, method="higher")) + 1e-6
    point: dict[str, Any] = {"others": share, "threshold": round(threshold, 4)}
    for kind in KINDS:
        of_kind = peaks[[kind_of(r.name) == kind for r in recordings]]
        point[kind] = [int(np.sum(of_kind < threshold)), len(of_kind)]
    return point


def _count(counts: list[int], fired: bool) -> None:
    counts[0] += int(fired)
    counts[1] += 1


def measured_report(
    recordings: Sequence[Recording], peaks: Sequence[float], threshold: float
) -> dict[str, list[int]]:
    """Return how many of the recordings that may only be measured fire, and how many there are, by class.

    The threshold was chosen on the crying babies among them, so that their figure is not independent.
    """
    classes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for recording, value in zip(recordings, peaks, strict=True):
        _count(classes[recording.name], value >= threshold)
    return dict(sorted(classes.items()))


def detection_errors(
    scores: Outputs, recordings: Sequence[Recording], kind: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the shares of other clips that fire and of missed clips of a kind at all thresholds, if any."""
    peaks = np.array([peak(s) for s in scores])
    others = peaks[[is_negative(r.name) for r in recordings]]
    alarms = peaks[[kind_of(r.name) == kind for r in recordings]]
    if not len(alarms) or not len(others):
        return None
    thresholds = np.unique(peaks)
    return (
        np.array([np.mean(others >= t) for t in thresholds]),
        np.array([np.mean(alarms < t) for t in thresholds]),
    )
