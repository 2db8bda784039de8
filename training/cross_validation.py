"""Fit models at the same time, each without the recordings of one fold, and one on all recordings."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from anc.noise.features import LogMelSpectrogram
from training.calibration import peak
from training.clips import dataset as datasets
from training.clips.dataset import CONTEXT
from training.fit import Arrays, Recipe, fit
from training.judge import Judged, judge
from training.material import Material
from training.memory import fit_memory

FRAMEWORK_BYTES = 600_000_000  # what a process needs beside its part of the dataset


@dataclass(frozen=True)
class CrossValidation:
    """What models say about recordings that they were not fitted to.

    Attributes
    ----------
    judged : dict of int to Judged
        By number of the recording, in ascending order; without the recordings of folds that were left out.
    foreign : list of float
        Peak of every foreign recording, the median over the models.
    arrays : dict of str to arrays
        The model that was fitted on all recordings; empty if none was.
    """

    judged: dict[int, Judged]
    foreign: list[float]
    arrays: Arrays


@dataclass(frozen=True)
class Job:
    """One model to fit.

    Attributes
    ----------
    recipe : Recipe
    seed : int
    cache : Path
        Folder of the training set.
    fold : int or None
        The fold to leave out, if any.
    rows : list of int
        Numbers of the recordings of that fold.
    spectrograms, foreign : list of (columns, BANDS) uint8
        Recordings to judge: those of the fold, and foreign ones.
    """

    recipe: Recipe
    seed: int
    cache: Path
    fold: int | None
    rows: list[int]
    spectrograms: Sequence[LogMelSpectrogram]
    foreign: Sequence[LogMelSpectrogram]


def cross_validate(
    material: Material, recipe: Recipe, seed: int, folds: int, whole: bool, progress: Progress
) -> CrossValidation:
    """Fit a model without each of the first `folds` folds, and judge the recordings of the fold with it.

    Every model is fitted by a process with one thread: two models at the same time take less time on two
    cores than one after the other with two threads.

    Parameters
    ----------
    whole : bool
        Whether to fit a model on all recordings, too.
    """
    jobs = [_job(material, recipe, seed, int(fold)) for fold in np.unique(material.folds)[:folds]]
    if whole:  # first, because it takes longest
        jobs.insert(0, Job(recipe, seed, material.cache, None, [], [], []))
    dataset = datasets.load(material.cache)
    assert dataset is not None
    task = progress.add_task("Models fitted", total=len(jobs))
    judged: dict[int, Judged] = {}
    peaks: dict[int, list[float]] = {}
    arrays: Arrays = {}
    with ProcessPoolExecutor(workers(len(jobs), dataset.nbytes), CONTEXT) as pool:
        running: dict[Future[Fitted], Job] = {pool.submit(_fit, job): job for job in jobs}
        try:
            for future in as_completed(running):
                job, fitted = running[future], future.result()
                judged |= dict(zip(job.rows, fitted.judged, strict=True))
                if job.fold is None:
                    arrays = fitted.arrays
                else:
                    peaks[job.fold] = fitted.foreign
                progress.advance(task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    progress.remove_task(task)
    foreign = np.median(list(peaks.values()), axis=0).tolist()
    return CrossValidation(dict(sorted(judged.items())), foreign, arrays)


def _job(material: Material, recipe: Recipe, seed: int, fold: int) -> Job:
    rows = np.flatnonzero(material.folds == fold).tolist()
    spectrograms = [material.spectrograms[i] for i in rows]
    return Job(
        recipe, seed * 10 + fold, material.cache, fold, rows, spectrograms, material.foreign_spectrograms
    )


@dataclass(frozen=True)
class Fitted:
    """What a process returns: the model, and what it says about the recordings of a job."""

    arrays: Arrays
    judged: list[Judged]
    foreign: list[float]


def _fit(job: Job) -> Fitted:
    torch.set_num_threads(1)
    dataset = datasets.load(job.cache)
    assert dataset is not None
    if job.fold is not None:
        dataset = dataset.without(job.fold)
    arrays = fit(job.recipe, dataset, job.seed)
    arrays |= fit_memory(arrays, dataset, job.recipe.memory_steps, job.seed)
    foreign = [peak(one.scores) for one in judge(arrays, job.foreign)]
    return Fitted(arrays, judge(arrays, job.spectrograms), foreign)


def workers(jobs: int, dataset_bytes: int) -> int:
    """Return how many models to fit at the same time: one per core, and no more than fit in half the memory.

    Parameters
    ----------
    jobs : int
    dataset_bytes : int
        Size of the training set; a process needs twice that.
    """
    fitting = int(memory_bytes() / 2 / (2 * dataset_bytes + FRAMEWORK_BYTES))
    return max(1, min(jobs, os.cpu_count() or 1, fitting))


def memory_bytes() -> int:
    """Return the size of the memory, 0 if the system does not tell."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
