"""Models without training: with fixed predictions, random weights, or the predictions of a function."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anc.noise import Classifier, model_file
from anc.noise.classifier import KINDS, LABELS, Analysis
from anc.noise.features import level_dbfs

SURE = 30.0
CHANNELS = (16, 32, 64, 96, 128)
POOLED = 6 * CHANNELS[-1]  # five bands, and their maximum
FEATURES, HIDDEN, WINDOWS = 16, 48, 9
CLASSES = [label for label in LABELS if label != "quiet"]
ABOUT: dict[str, Any] = {
    "name": "untrained",
    "classes": CLASSES,
    "labels": {name: name for name in CLASSES},
    "temperature": 1.0,
}
SHAPES: dict[str, tuple[int, ...]] = {
    **{
        f"conv{i}": (3, 3, inputs, outputs)
        for i, (inputs, outputs) in enumerate(zip((2, *CHANNELS), CHANNELS, strict=False))
    },
    "noise": (POOLED, len(CLASSES)),
    "kinds": (POOLED, len(KINDS)),
    "features": (POOLED, FEATURES),
    "memory": (WINDOWS, len(KINDS) + FEATURES + 1, HIDDEN),
    "memory.out": (HIDDEN, len(KINDS)),
}


def random_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Return random weights whose outputs are of the order of 1."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in SHAPES.items():
        scale = (2 / np.prod(shape[:-1])) ** 0.5
        arrays[f"{name}.weight"] = (scale * rng.standard_normal(shape)).astype(np.float16)
        arrays[f"{name}.bias"] = (0.1 * rng.standard_normal(shape[-1])).astype(np.float16)
    return arrays


def random_model(path: Path, seed: int = 0) -> Path:
    """Write a model with random weights, whose predictions depend on the sound and on what was before."""
    model_file.save(path, random_arrays(seed), ABOUT)
    return path


def untrained_model(path: Path, alarm: bool, label: str = "machine") -> Path:
    """Write a model that always predicts `label`, and always or never an alarm."""
    arrays = {name: np.zeros_like(array) for name, array in random_arrays().items()}
    arrays["noise.bias"][CLASSES.index(label)] = SURE
    arrays["kinds.bias"][:] = SURE if alarm else -SURE
    model_file.save(path, arrays, ABOUT)
    return path


def patch_predictions(
    monkeypatch: pytest.MonkeyPatch, predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> None:
    """Let all classifiers return the label probabilities and emergency scores of `predict(views)`."""

    def analyse(self: Classifier, views: np.ndarray) -> Analysis:
        probabilities, scores = predict(views)
        evidence = np.zeros((len(views), self.memory.size), np.float32)
        evidence[:, : len(KINDS)] = scores
        return Analysis(probabilities, evidence, np.zeros(len(views)), level_dbfs(views))

    def emergency_scores(self: Classifier, windows: Analysis, before: np.ndarray) -> np.ndarray:
        return windows.evidence[:, : len(KINDS)].astype(np.float64)

    monkeypatch.setattr(Classifier, "analyse", analyse)
    monkeypatch.setattr(Classifier, "emergency_scores", emergency_scores)
