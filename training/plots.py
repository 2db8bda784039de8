"""Plots of the model card."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from anc.noise.classifier import KINDS
from training.evaluation import Outputs
from training.evaluation import detection_errors as errors_of
from training.recordings import Recording

mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})


def confusion(report: dict[str, Any], path: Path) -> None:
    """Plot the confusion matrix of clips."""
    counts = np.array(report["confusion"])
    present = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts = counts[np.ix_(present, present)]
    names = [report["classes"][i].replace("_", " ") for i in present]
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("Actual")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            dark = count > counts[row].sum() / 2
            axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    low, high = report["clip_accuracy_95"]
    axes.set_title(f"Clip accuracy: {report['clip_accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%})")
    figure.savefig(path, dpi=110)


def detection_errors(scores: Outputs, recordings: Sequence[Recording], path: Path) -> None:
    """Plot the miss rate over the false-alarm rate for kinds with recordings."""
    figure = Figure(figsize=(5.6, 4), layout="constrained")
    axes = figure.subplots()
    for kind in KINDS:
        if errors := errors_of(scores, recordings, kind):
            axes.step(100 * np.maximum(errors[0], 1e-3), 100 * errors[1], where="post", label=kind)
    axes.set_xscale("log")
    axes.set_xlabel("Clips without an emergency that fire, %")
    axes.set_ylabel("Missed clips, %")
    if axes.lines:
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
