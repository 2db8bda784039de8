"""Judge recordings with a fitted model as the classifier does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anc.noise.classifier import QUIET_DBFS
from anc.noise.features import LogMelSpectrogram, level_dbfs, log_mel, network_input, quantise, windows
from anc.noise.network import Memory, Network, sigmoid
from training.recordings import load_sound


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


def judge(
    arrays: Mapping[str, NDArray[np.float32]], spectrograms: Sequence[LogMelSpectrogram]
) -> list[Judged]:
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


def spectrogram_of(path: Path) -> LogMelSpectrogram:
    """Return the spectrogram of a file."""
    samples, rate = load_sound(path)
    return log_mel(quantise(np.clip(samples, -1, 1), rate), rate)
