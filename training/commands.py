"""`anc train` and `anc evaluate` as functions."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from anc.noise import Classifier
from anc.noise.classifier import DEFAULT_MODEL, LABELS
from anc.noise.network import softmax
from training import alarm_model, noise_model, plots
from training.calibration import temperature_of, thresholds_of
from training.delays import delay_table
from training.evaluation import Outputs, alarm_report, noise_report, out_of_fold
from training.export import groups_of, write_model
from training.recordings import Recording, assign_folds, read_recordings
from training.spectrograms import Sound, read_sounds
from training.taxonomy import KIND_OF, UNDECIDED, label_of

Synthetic = Sequence[tuple[Sound, str, tuple[str, ...], float]]
SYNTHETIC_CLASSES = ("speech", "music", "cabin", "whine")  # missing in the collections
SOUNDS_PER_MAKER = 50
CACHE_FILE = "pictures.npz"


def evaluate(dataset: str, data: Path, out: Path, seed: int = 1, steps: int | None = None) -> dict[str, Any]:
    """Cross-validate on a collection.

    Parameters
    ----------
    dataset : str
        ``esc10`` for its ten classes and five folds, ``noise`` for the noise labels or ``alarm`` for the
        emergency detector, both on all of `data` in three folds.
    data : Path
        Folder of recordings in a layout that `training.recordings` reads.
    out : Path
        Folder for the report (JSON), plots and cached spectrograms.
    seed, steps : int
        Random seed, and number of training steps if not the recipe's.

    Returns
    -------
    dict
        The report.
    """
    recordings = read_recordings(data)
    if dataset == "esc10":
        recordings = [r for r in recordings if r.collection == "esc10"]
        if not recordings:
            raise ValueError(f"{data}: no recordings of ESC-10")
    sounds = read_sounds(recordings, out / f"{dataset}-{CACHE_FILE}")
    folds = assign_folds(recordings)
    splits = folds % 3
    synthetic = [] if dataset == "esc10" else alarm_model.synthetic_sounds(SOUNDS_PER_MAKER, seed)
    with Progress(console=Console(stderr=True)) as progress:
        if dataset == "esc10":
            report = _evaluate_classes(recordings, sounds, folds, seed, steps, progress)
        elif dataset == "noise":
            classes, logits = _noise_out_of_fold(recordings, sounds, synthetic, splits, seed, steps, progress)
            report = _label_report(classes, logits, recordings, splits)
        elif dataset == "alarm":
            classes, logits = _noise_out_of_fold(recordings, sounds, synthetic, splits, seed, steps, progress)
            alarm = _alarm_out_of_fold(recordings, sounds, synthetic, splits, seed, steps, progress)
            scores = alarm_model.alarm_scores(alarm, logits, classes)
            report = alarm_report(scores, [r.name for r in recordings], splits)
            plots.detection_errors(scores, [r.name for r in recordings], out / "model-detection.png")
        else:
            raise ValueError(f"dataset: must be esc10, noise or alarm (got {dataset!r})")
    report = {"dataset": dataset, "seed": seed, **report}
    write_report(report, out / f"{dataset}.json")
    if "confusion" in report:
        plots.confusion(report, out / f"model-confusion-{dataset}.png")
    return report


def train(
    data: Path, out: Path, model: Path = DEFAULT_MODEL, seed: int = 1, steps: int | None = None
) -> dict[str, Any]:
    """Train the bundled model: cross-validate for calibration and thresholds, then fit on all recordings.

    Parameters
    ----------
    data : Path
        Folder of recordings.
    out : Path
        Folder for the reports (``noise.json``, ``alarm.json``, ``delays.json``), plots and cache.
    model : Path
        The .npz file to write.

    Returns
    -------
    dict
        Reports of both cross-validations, and the model's SHA-256.
    """
    recordings = read_recordings(data)
    names = [r.name for r in recordings]
    sounds = read_sounds(recordings, out / f"all-{CACHE_FILE}")
    splits = assign_folds(recordings) % 3
    synthetic = alarm_model.synthetic_sounds(SOUNDS_PER_MAKER, seed)
    with Progress(console=Console(stderr=True)) as progress:
        classes, logits = _noise_out_of_fold(recordings, sounds, synthetic, splits, seed, steps, progress)
        alarm_logits = _alarm_out_of_fold(recordings, sounds, synthetic, splits, seed, steps, progress)
        scores = alarm_model.alarm_scores(alarm_logits, logits, classes)
        groups = groups_of(classes)
        temperature = temperature_of(np.concatenate(logits), _label_of_windows(logits, names), groups)
        negatives = [s for s, n in zip(scores, names, strict=True) if n not in KIND_OF and n not in UNDECIDED]
        thresholds = thresholds_of(negatives)
        whole, numbers = _with_synthetic(sounds, names, classes, synthetic)
        noise = noise_model.fit_noise(
            whole, numbers, len(classes), seed, progress, _with_steps(noise_model.RECIPE, steps)
        )
        alarm_dataset = alarm_model.collect(sounds, names, synthetic)
        alarm = alarm_model.fit_alarm(alarm_dataset, seed, progress, _with_steps(alarm_model.RECIPE, steps))
    about: dict[str, object] = {
        "name": "anc-hearing",
        "recordings": dict(Counter(r.collection for r in recordings)),
        "seed": seed,
    }
    shipped = write_model(model, noise, alarm, classes, temperature, thresholds, about)
    report = {
        "sha256": shipped.sha256,
        "temperature": temperature,
        "thresholds": thresholds.tolist(),
        "noise": _label_report(classes, logits, recordings, splits),
        "alarm": alarm_report(scores, names, splits),
    }
    write_report(report["noise"], out / "noise.json")
    write_report(report["alarm"], out / "alarm.json")
    write_report(delay_table(Classifier.load(model)), out / "delays.json")
    plots.confusion(report["noise"], out / "model-confusion-noise.png")
    plots.detection_errors(scores, names, out / "model-detection.png")
    return report


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write a report as JSON, as `training.model_card` reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def _with_steps(recipe: noise_model.Recipe, steps: int | None) -> noise_model.Recipe:
    return replace(recipe, steps=steps) if steps else recipe


def _evaluate_classes(
    recordings: list[Recording],
    sounds: list[Sound],
    folds: NDArray[np.int64],
    seed: int,
    steps: int | None,
    progress: Progress,
) -> dict[str, Any]:
    classes = sorted({r.name for r in recordings})
    truth = np.array([classes.index(r.name) for r in recordings])
    recipe = _with_steps(noise_model.RECIPE, steps)
    logits = out_of_fold(
        sounds,
        folds,
        lambda rows, fold: noise_model.fit_noise(
            [sounds[i] for i in rows], truth[rows], len(classes), seed * 10 + fold, progress, recipe
        ),
        noise_model.noise_logits,
    )
    return noise_report(
        [softmax(one) for one in logits], truth, classes, folds, [r.source for r in recordings]
    )


def _with_synthetic(
    sounds: Sequence[Sound], names: Sequence[str], classes: list[str], synthetic: Synthetic
) -> tuple[list[Sound], NDArray[np.int64]]:
    added = [(sound, name) for sound, name, _, _ in synthetic if name in SYNTHETIC_CLASSES]
    everything = [*zip(sounds, names, strict=True), *added]
    return [sound for sound, _ in everything], np.array([classes.index(name) for _, name in everything])


def _noise_out_of_fold(
    recordings: list[Recording],
    sounds: list[Sound],
    synthetic: Synthetic,
    folds: NDArray[np.int64],
    seed: int,
    steps: int | None,
    progress: Progress,
) -> tuple[list[str], Outputs]:
    names = [r.name for r in recordings]
    classes = sorted({*names, *SYNTHETIC_CLASSES})
    recipe = _with_steps(noise_model.RECIPE, steps)

    def fit(rows: NDArray[np.int64], fold: int) -> noise_model.Arrays:
        some, numbers = _with_synthetic(
            [sounds[i] for i in rows], [names[i] for i in rows], classes, synthetic
        )
        return noise_model.fit_noise(some, numbers, len(classes), seed * 10 + fold, progress, recipe)

    return classes, out_of_fold(sounds, folds, fit, noise_model.noise_logits)


def _alarm_out_of_fold(
    recordings: list[Recording],
    sounds: list[Sound],
    synthetic: Synthetic,
    folds: NDArray[np.int64],
    seed: int,
    steps: int | None,
    progress: Progress,
) -> Outputs:
    names = [r.name for r in recordings]
    recipe = _with_steps(alarm_model.RECIPE, steps)

    def fit(rows: NDArray[np.int64], fold: int) -> alarm_model.Arrays:
        alarm_dataset = alarm_model.collect([sounds[i] for i in rows], [names[i] for i in rows], synthetic)
        return alarm_model.fit_alarm(alarm_dataset, seed * 10 + fold, progress, recipe)

    return out_of_fold(sounds, folds, fit, alarm_model.alarm_logits)


def _label_of_windows(logits: Outputs, names: Sequence[str]) -> NDArray[np.int64]:
    labels = [LABELS.index(label_of(name)) for name in names]
    return np.repeat(labels, [len(one) for one in logits])


def _label_report(
    classes: list[str], logits: Outputs, recordings: list[Recording], folds: NDArray[np.int64]
) -> dict[str, Any]:
    """Return the report for noise labels. The temperature of each fold is chosen on the other folds."""
    groups = groups_of(classes)
    names = [r.name for r in recordings]
    truth = np.array([LABELS.index(label_of(name)) for name in names])
    probabilities: Outputs = [np.empty(0)] * len(logits)
    for fold in np.unique(folds):
        others = [i for i in range(len(folds)) if folds[i] != fold]
        rest = [logits[i] for i in others]
        t = temperature_of(np.concatenate(rest), _label_of_windows(rest, [names[i] for i in others]), groups)
        for i in np.flatnonzero(folds == fold):
            probabilities[i] = softmax(logits[i] / t) @ groups
    return noise_report(probabilities, truth, list(LABELS), folds, [r.source for r in recordings])
