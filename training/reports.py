"""Reports of a cross-validation: noise types, emergencies, the classes of ESC-10, measured recordings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc.noise.classifier import LABELS
from anc.noise.network import softmax
from training import plots
from training.calibration import peak, temperature_of, threshold_of
from training.evaluation import alarm_report, fold_thresholds, measured_report, noise_report
from training.export import groups_of
from training.judge import Judged
from training.material import Material
from training.taxonomy import UNNAMED, is_negative, label_of, noise_class

CRIES = "crying_baby"


class Results:
    """Calibration and reports.

    Parameters
    ----------
    material : Material
    judged : dict of int to Judged
        What models say about recordings that they did not know, by number of the recording.
    foreign : sequence of float
        `peak` of every foreign recording.

    Attributes
    ----------
    temperature, threshold : float
        For a model that is fitted on all recordings.
    reports : dict of str to dict
        ``noise``, ``alarm``, ``esc10`` and ``measured``, as far as there are recordings for them.
    """

    def __init__(self, material: Material, judged: dict[int, Judged], foreign: Sequence[float]) -> None:
        self._material, self._judged = material, judged
        self._recordings = [material.recordings[i] for i in self._judged]
        self._folds = material.folds[list(self._judged)]
        self._scores = [one.scores for one in self._judged.values()]
        cries = [v for r, v in zip(material.foreign, foreign, strict=True) if noise_class(r.name) == CRIES]
        negatives = [
            peak(s) for s, r in zip(self._scores, self._recordings, strict=True) if is_negative(r.name)
        ]
        self.threshold = threshold_of(cries, negatives)
        named = self._named()
        self.temperature = self._temperature(named)
        thresholds = fold_thresholds(self._scores, self._recordings, self._folds, cries)
        self.reports: dict[str, dict[str, Any]] = {
            "alarm": alarm_report(self._scores, self._recordings, self._folds, thresholds)
        }
        if named:
            self.reports["noise"] = self._label_report(named)
        if rows := [i for i in named if material.recordings[i].collection == "esc10"]:
            self.reports["esc10"] = self._class_report(rows)
        if material.foreign:
            self.reports["measured"] = measured_report(material.foreign, foreign, self.threshold)

    def plot(self, folder: Path) -> list[str]:
        """Write the figures to a folder, and return their names."""
        names = [f"model-confusion-{name}.png" for name in ("esc10", "noise") if name in self.reports]
        for name in names:
            report = self.reports[name.removeprefix("model-confusion-").removesuffix(".png")]
            plots.confusion(report, folder / name)
        plots.detection_errors(self._scores, self._recordings, folder / "model-detection.png")
        return [*names, "model-detection.png"]

    def _named(self) -> list[int]:
        return [i for i in self._judged if self._material.recordings[i].name not in UNNAMED]

    def _temperature(self, rows: Sequence[int]) -> float:
        """Return the temperature for the audible windows of recordings that have a label."""
        if not rows:
            return 1.0
        logits = [self._judged[i].logits for i in rows]
        labels = [LABELS.index(label_of(self._material.recordings[i].name)) for i in rows]
        truth = np.repeat(labels, [len(one) for one in logits])
        return temperature_of(np.concatenate(logits), truth, groups_of(self._material.classes))

    def _class_report(self, rows: list[int]) -> dict[str, Any]:
        """Return the report for the ten classes of ESC-10, among which the classifier then chooses."""
        recordings = [self._material.recordings[i] for i in rows]
        names = sorted({noise_class(r.name) for r in recordings})
        columns = [self._material.classes.index(name) for name in names]
        truth = np.array([names.index(noise_class(r.name)) for r in recordings])
        probabilities = [softmax(self._judged[i].logits[:, columns]) for i in rows]
        return noise_report(probabilities, truth, names, self._material.folds[rows], recordings)

    def _label_report(self, rows: list[int]) -> dict[str, Any]:
        """Return the report for noise labels. The temperature of each fold is chosen on the other folds."""
        groups, folds = groups_of(self._material.classes), self._material.folds
        probabilities: dict[int, NDArray[np.float64]] = {}
        for fold in np.unique(folds[rows]):
            others = [i for i in rows if folds[i] != fold] or rows  # a single fold cannot spare itself
            t = self._temperature(others)
            probabilities |= {
                i: softmax(self._judged[i].logits / t) @ groups for i in rows if folds[i] == fold
            }
        recordings = [self._material.recordings[i] for i in rows]
        truth = np.array([LABELS.index(label_of(r.name)) for r in recordings])
        return noise_report([probabilities[i] for i in rows], truth, list(LABELS), folds[rows], recordings)
