"""Fit the whole model, and judge recordings with it as the classifier does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from anc.noise.classifier import QUIET_DBFS
from anc.noise.features import LogMelSpectrogram, level_dbfs, network_input, windows
from anc.noise.network import sigmoid
from training.candidate.dataset import Dataset
from training.candidate.fit import Arrays, Recipe, fit
from training.candidate.memory import fit_memory
from training.candidate.network import Memory, Network


@dataclass(frozen=True)
class Judged:
    """What a model says about one recording.

    Attributes
    ----------
    logits : (windows, classes) float
        Of the noise classes, for the windows that are not quiet.
    scores : (windows, kinds) float
        Raw emergency scores of all windows.
    """

    logits: NDArray[np.floating]
    scores: NDArray[np.float64]


def fit_model(recipe: Recipe, dataset: Dataset, seed: int, progress: Progress) -> Arrays:
    """Fit the network and its memory; the auxiliary outputs that learned from the teacher are left out."""
    arrays = fit(recipe, dataset, seed, progress)
    kept = {name: array for name, array in arrays.items() if not name.startswith("taught.")}
    return kept | fit_memory(kept, dataset, recipe.memory_steps, seed, progress)


def judge(arrays: Arrays, spectrograms: Sequence[LogMelSpectrogram]) -> list[Judged]:
    """Return what a model says about each recording."""
    network, memory = Network(arrays), Memory(arrays)
    judged = []
    for spectrogram in spectrograms:
        views = windows(spectrogram)
        logits, evidence = network(network_input(views))
        loud = audible(views)
        judged.append(Judged(logits[loud], sigmoid(memory(evidence)) * loud[:, None]))
    return judged


def audible(views: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which windows are not quiet, or all if all are quiet."""
    loud = np.array([level_dbfs(view) >= QUIET_DBFS for view in views])
    return loud if loud.any() else ~loud
