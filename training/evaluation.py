"""Metrics of the models on recordings that they were not fitted to."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc.noise.classifier import KINDS
from anc.noise.network import softmax
from training.calibration import thresholds_of, voted
from training.fit import Arrays
from training.spectrograms import Sound, Windows, audible_windows
from training.taxonomy import KIND_OF, UNDECIDED

Outputs = list[NDArray[np.float64]]  # per recording, (windows, classes)


def out_of_fold(
    sounds: Sequence[Sound],
    folds: NDArray[np.int64],
    fit: Callable[[NDArray[np.int64], int], Arrays],
    predict: Callable[[Arrays, Windows], NDArray[np.floating]],
) -> Outputs:
    """Return outputs for every recording from a model that was fitted without its fold.

    Parameters
    ----------
    sounds : sequence of Sound
    folds : (len(sounds),) int
    fit : callable
        Fits a model on the recordings with the given indices; the second argument is the held-out fold.
    predict : callable
        Returns the outputs of a fitted model for windows.
    """
    outputs: Outputs = [np.empty(0)] * len(sounds)
    for fold in np.unique(folds):
        arrays = fit(np.flatnonzero(folds != fold), int(fold))
        for i in map(int, np.flatnonzero(folds == fold)):
            outputs[i] = predict(arrays, audible_windows(sounds[i].spectrograms[0])).astype(np.float64)
    return outputs


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
    sources: Sequence[str],
) -> dict[str, Any]:
    """Return accuracy per clip and window, recall per class, confusion matrix and calibration error.

    The prediction for a clip is the normalised geometric mean of its windows' probabilities.

    Parameters
    ----------
    probabilities : list of (windows, classes)
    truth : (recordings,) int
    names : sequence of str
        Class names.
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
        "clip_accuracy_95": interval(right, sources),
        "window_accuracy": round(float(each_right.mean()), 4),
        "folds": per_fold,
        "recall": {
            n: round(float(right[truth == i].mean()), 4) for i, n in enumerate(names) if (truth == i).any()
        },
        "classes": list(names),
        "confusion": confusion.tolist(),
        "calibration_error": {
            "window": calibration_error(each.max(axis=1), each_right),
            "clip": calibration_error(softmax(clip).max(axis=1), right),
        },
    }


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over fifteen bins of confidence."""
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [
        abs(confidence[bins == b].mean() - right[bins == b].mean()) * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return round(float(np.sum(gaps)), 4)


def alarm_report(scores: Outputs, names: Sequence[str], folds: NDArray[np.int64]) -> dict[str, Any]:
    """Return recall and false alarms. The thresholds of each fold are chosen on the other folds.

    Parameters
    ----------
    scores : list of (windows, 3)
        Raw out-of-fold scores.
    names : sequence of str
        Class of each recording.
    """
    negative = [name not in KIND_OF and name not in UNDECIDED for name in names]
    thresholds = {
        fold: thresholds_of([s for s, no, f in zip(scores, negative, folds, strict=True) if no and f != fold])
        for fold in np.unique(folds)
    }
    single = [s >= thresholds[f] for s, f in zip(scores, folds, strict=True)]
    fired = [voted(s) >= thresholds[f] for s, f in zip(scores, folds, strict=True)]
    any_fired = np.array([bool(f.any()) for f in fired])
    labels = np.array(names)
    negative_windows = np.concatenate([f.any(axis=1) for f, no in zip(single, negative, strict=True) if no])
    negative_votes = np.concatenate([f.any(axis=1) for f, no in zip(fired, negative, strict=True) if no])
    report: dict[str, Any] = {
        "false_alarms": {
            "windows": round(float(negative_windows.mean()), 4),
            "voted_decisions": round(float(negative_votes.mean()), 4),
            "clips": round(float(any_fired[negative].mean()), 4),
            "negative_clips": int(sum(negative)),
        },
        "clips_fired": {
            name: [int(any_fired[labels == name].sum()), int(np.sum(labels == name))]
            for name in sorted(set(names))
            if any_fired[labels == name].any() or name in KIND_OF
        },
    }
    for name, kind in KIND_OF.items():
        rows = [i for i, other in enumerate(names) if other == name]
        if rows:
            windows = np.concatenate([single[i][:, KINDS.index(kind)] for i in rows])
            report[kind] = {"window_recall": round(float(windows.mean()), 4)}
    return report


def detection_errors(scores: Outputs, names: Sequence[str], kind: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the false-alarm rate of voted decisions and the miss rate of clips at all thresholds."""
    column = KINDS.index(kind)
    alarms = [voted(s)[:, column].max() for s, n in zip(scores, names, strict=True) if KIND_OF.get(n) == kind]
    others = [s for s, n in zip(scores, names, strict=True) if n not in KIND_OF and n not in UNDECIDED]
    negatives = np.concatenate([voted(s)[:, column] for s in others])
    thresholds = np.unique(np.concatenate([alarms, np.quantile(negatives, np.linspace(0.5, 1, 500))]))
    false = np.array([np.mean(negatives >= t) for t in thresholds])
    missed = np.array([np.mean(np.array(alarms) < t) for t in thresholds])
    return false, missed
