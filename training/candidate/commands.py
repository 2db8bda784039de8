"""Cross-validate, fit and export the candidate."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from anc.noise.classifier import LABELS
from anc.noise.features import LogMelSpectrogram
from anc.noise.network import softmax
from training.calibration import temperature_of
from training.candidate import dataset as datasets
from training.candidate.classes import UNNAMED, label_of, noise_class
from training.candidate.collections import assign_folds, read_recordings, trains
from training.candidate.dataset import Dataset, Plan
from training.candidate.evaluation import alarm_report, fold_thresholds, is_negative, measured_report
from training.candidate.export import groups_of, write_model
from training.candidate.fit import Recipe
from training.candidate.model import Judged, fit_model, judge
from training.candidate.thresholds import peak, threshold_of
from training.evaluation import noise_report
from training.recordings import Recording
from training.spectrograms import spectrogram_at

CACHE_FILE, MODEL_FILE = "clips.npz", "candidate.npz"
CRIES = "crying_baby"


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes
    ----------
    teacher : Path or None
        TFLite file of YAMNet; without it, only labels are learned.
    seed : int
    plan : Plan
        Size of the training set.
    recipe : Recipe
        Hyperparameters of the network.
    folds : int
        Number of folds, of five, that are left out in turn. Fewer take less time and measure less.
    """

    teacher: Path | None = None
    seed: int = 1
    plan: Plan = field(default_factory=Plan)
    recipe: Recipe = field(default_factory=Recipe)
    folds: int = 5


@dataclass(frozen=True)
class Material:
    """Recordings with folds and spectrograms, and the training set that was composed of them.

    Attributes
    ----------
    recordings, folds, spectrograms
        What may be trained on.
    foreign, foreign_spectrograms
        What may only be measured: thresholds are chosen on it.
    """

    recordings: list[Recording]
    folds: NDArray[np.int64]
    spectrograms: list[LogMelSpectrogram]
    foreign: list[Recording]
    foreign_spectrograms: list[LogMelSpectrogram]
    dataset: Dataset


def train(data: Path, out: Path, options: Options = Options()) -> dict[str, Any]:
    """Cross-validate the candidate, then fit it on all recordings.

    Each recording is judged by a model that knows none of its source.

    Parameters
    ----------
    data : Path
        Folder of recordings in a layout that `training.candidate.collections` reads.
    out : Path
        Folder for the candidate (``candidate.npz``), its scores (JSON) and the cache.

    Returns
    -------
    dict
        The reports, by name.
    """
    out.mkdir(parents=True, exist_ok=True)
    with _progress() as progress:
        material = gather(data, out, options, progress)
        judged, foreign = cross_validate(material, options, progress)
        arrays = fit_model(options.recipe, material.dataset, options.seed, progress)
    cries = _cries(material, foreign)
    temperature = temperature_of(*_labelled_windows(material, judged, judged), _groups(material))
    negatives = [peak(one.scores) for i, one in judged.items() if is_negative(material.recordings[i].name)]
    threshold = threshold_of(cries, negatives)
    about: dict[str, object] = {
        "name": "anc-hearing",
        "recordings": dict(Counter(r.collection for r in material.recordings)),
        "seed": options.seed,
        "steps": options.recipe.steps,
    }
    write_model(out / MODEL_FILE, arrays, material.dataset.classes, temperature, threshold, about)
    reports = {
        **write_reports(material, judged, cries, out),
        "measured": measured_report(material.foreign, foreign, threshold),
    }
    write_report(reports["measured"], out / "measured.json")
    return reports


def gather(data: Path, out: Path, options: Options, progress: Progress) -> Material:
    """Read all recordings and compose the training set, or read it from the cache of the same options."""
    everything = read_recordings(data)
    recordings = [r for r in everything if trains(r)]
    foreign = [r for r in everything if not trains(r)]
    folds = assign_folds(recordings)
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, datasets.CONTEXT) as pool:
        paths = [r.path for r in recordings + foreign]
        spectrograms = list(pool.map(spectrogram_at, paths, repeat(1.0), chunksize=32))
    cache = out / CACHE_FILE
    stamp = [repr((options.teacher, options.seed, options.plan)), *(str(r.path) for r in recordings)]
    dataset = datasets.load(cache, stamp)
    if dataset is None:
        dataset = datasets.build(
            recordings, folds, data, options.teacher, options.seed, workers, progress, options.plan
        )
        datasets.save(dataset, cache, stamp)
    split = len(recordings)
    return Material(recordings, folds, spectrograms[:split], foreign, spectrograms[split:], dataset)


def cross_validate(
    material: Material, options: Options, progress: Progress
) -> tuple[dict[int, Judged], list[float]]:
    """Return what models without its fold say about each recording, and the peaks of foreign recordings.

    The peak of a foreign recording is the median over the models.
    """
    judged: dict[int, Judged] = {}
    peaks = []
    for fold in np.unique(material.folds)[: options.folds]:
        part = material.dataset.without(int(fold))
        arrays = fit_model(options.recipe, part, options.seed * 10 + int(fold), progress)
        rows = np.flatnonzero(material.folds == fold).tolist()
        judged |= dict(zip(rows, judge(arrays, [material.spectrograms[i] for i in rows]), strict=True))
        peaks.append([peak(one.scores) for one in judge(arrays, material.foreign_spectrograms)])
    return dict(sorted(judged.items())), np.median(peaks, axis=0).tolist()


def write_reports(
    material: Material, judged: dict[int, Judged], cries: list[float], out: Path
) -> dict[str, dict[str, Any]]:
    """Write the reports of a cross-validation, and return them by name."""
    recordings, folds = [material.recordings[i] for i in judged], material.folds[list(judged)]
    scores = [one.scores for one in judged.values()]
    thresholds = fold_thresholds(scores, recordings, folds, cries)
    reports = {
        "noise": _label_report(material, judged),
        "alarm": alarm_report(scores, recordings, folds, thresholds),
    }
    if any(r.collection == "esc10" for r in recordings):
        reports["esc10"] = _class_report(material, judged)
    for name, report in reports.items():
        write_report(report, out / f"{name}.json")
    return reports


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def _class_report(material: Material, judged: dict[int, Judged]) -> dict[str, Any]:
    """Return the report for the ten classes of ESC-10, among which the classifier then chooses."""
    rows = [i for i in judged if material.recordings[i].collection == "esc10"]
    recordings = [material.recordings[i] for i in rows]
    names = sorted({noise_class(r.name) for r in recordings})
    columns = [material.dataset.classes.index(name) for name in names]
    truth = np.array([names.index(noise_class(r.name)) for r in recordings])
    probabilities = [softmax(judged[i].logits[:, columns]) for i in rows]
    return noise_report(probabilities, truth, names, material.folds[rows], [r.source for r in recordings])


def _label_report(material: Material, judged: dict[int, Judged]) -> dict[str, Any]:
    """Return the report for noise labels. The temperature of each fold is chosen on the other folds."""
    groups = _groups(material)
    rows = [i for i in judged if material.recordings[i].name not in UNNAMED]
    probabilities: dict[int, NDArray[np.float64]] = {}
    for fold in np.unique(material.folds[rows]):
        others = [i for i in rows if material.folds[i] != fold] or rows  # a single fold cannot spare itself
        t = temperature_of(*_labelled_windows(material, judged, others), groups)
        for i in rows:
            if material.folds[i] == fold:
                probabilities[i] = softmax(judged[i].logits / t) @ groups
    recordings = [material.recordings[i] for i in rows]
    truth = np.array([LABELS.index(label_of(r.name)) for r in recordings])
    outputs = [probabilities[i] for i in rows]
    return noise_report(outputs, truth, list(LABELS), material.folds[rows], [r.source for r in recordings])


def _labelled_windows(
    material: Material, judged: dict[int, Judged], rows: Iterable[int]
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Return the logits of all audible windows of recordings with a label, and the labels."""
    rows = [i for i in rows if material.recordings[i].name not in UNNAMED]
    labels = [LABELS.index(label_of(material.recordings[i].name)) for i in rows]
    logits = [judged[i].logits for i in rows]
    return np.concatenate(logits), np.repeat(labels, [len(one) for one in logits])


def _groups(material: Material) -> NDArray[np.float64]:
    return groups_of(material.dataset.classes)


def _cries(material: Material, peaks: list[float]) -> list[float]:
    return [p for r, p in zip(material.foreign, peaks, strict=True) if noise_class(r.name) == CRIES]


@contextmanager
def _progress() -> Iterator[Progress]:
    with Progress(console=Console(stderr=True)) as progress:
        yield progress
