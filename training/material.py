"""What a model is trained and measured on: recordings with folds, and the training set composed of them."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from anc.noise.features import LogMelSpectrogram
from training.clips import dataset as datasets
from training.clips.dataset import CONTEXT, Plan
from training.judge import spectrogram_of
from training.recordings import Recording, assign_folds, read_recordings
from training.taxonomy import kind_of, noise_class
from training.teacher import Teacher

CACHE_FOLDER = "clips"


@dataclass(frozen=True)
class Material:
    """Recordings with folds and spectrograms, and the training set that was composed of them.

    Attributes
    ----------
    recordings, folds, spectrograms
        What may be trained on.
    foreign, foreign_spectrograms
        What may only be measured: thresholds are chosen on it.
    classes : list of str
        Noise classes of the training set.
    cache : Path
        Folder of the training set.
    """

    recordings: list[Recording]
    folds: NDArray[np.int64]
    spectrograms: list[LogMelSpectrogram]
    foreign: list[Recording]
    foreign_spectrograms: list[LogMelSpectrogram]
    classes: list[str]
    cache: Path


def gather(
    data: Sequence[Path], out: Path, teacher: Path | None, seed: int, plan: Plan, progress: Progress
) -> Material:
    """Read all recordings and compose the training set, or take it from the cache of the same options.

    Parameters
    ----------
    data : sequence of Path
        Folders of recordings.
    out : Path
        Folder of the cache.
    teacher : Path or None
        TFLite file of YAMNet; without it, only labels are learned.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no recordings to train on, or the teacher is not YAMNet.
    """
    everything = read_recordings(*data)
    recordings = [r for r in everything if r.trains]
    foreign = [r for r in everything if not r.trains]
    if not recordings:
        raise ValueError("data: no recording may be trained on")
    if teacher:
        Teacher(teacher)  # fails before an hour of work does
    out.mkdir(parents=True, exist_ok=True)
    folds = assign_folds(recordings)
    cores = os.cpu_count() or 1
    task = progress.add_task("Reading", total=len(everything))
    spectrograms = []
    with ProcessPoolExecutor(cores, CONTEXT) as pool:
        for one in pool.map(spectrogram_of, [r.path for r in recordings + foreign], chunksize=32):
            spectrograms.append(one)
            progress.advance(task)
    progress.remove_task(task)
    cache, stamp = out / CACHE_FOLDER, _stamp(recordings, data, teacher, seed, plan)
    dataset = datasets.load(cache, stamp)
    if dataset is None:
        dataset = datasets.build(recordings, folds, data, teacher, seed, cores, progress, plan)
        datasets.save(dataset, cache, stamp)
    split = len(recordings)
    return Material(
        recordings, folds, spectrograms[:split], foreign, spectrograms[split:], dataset.classes, cache
    )


def _stamp(
    recordings: Sequence[Recording], data: Sequence[Path], teacher: Path | None, seed: int, plan: Plan
) -> list[str]:
    """Return everything that the composed clips depend on."""
    return [
        hashlib.sha256(teacher.read_bytes()).hexdigest() if teacher else "no teacher",
        repr((seed, plan, [str(folder) for folder in data])),
        *(f"{r.path}: {noise_class(r.name)}, {kind_of(r.name)}" for r in recordings),
    ]
