"""Write a fitted model, its calibration and its description to a model file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anc.noise import model_file
from anc.noise.classifier import LABELS, OPERATING_POINT
from training.calibration import shift_for
from training.taxonomy import label_of


def groups_of(classes: Sequence[str]) -> NDArray[np.float64]:
    """Return the matrix (classes, labels) of 0 and 1 that maps classes to `LABELS`."""
    return np.array([[label == label_of(name) for label in LABELS] for name in classes], float)


def write_model(
    path: Path,
    arrays: Mapping[str, NDArray[np.float32]],
    classes: list[str],
    temperature: float,
    threshold: float,
    about: dict[str, object],
) -> model_file.ModelFile:
    """Write the model in half precision.

    Parameters
    ----------
    threshold : float
        Raw score threshold; the logits are shifted so that it becomes 0.85.
    about : dict
        Further description: how and on what the model was trained.
    """
    shift = np.float32(shift_for(threshold, OPERATING_POINT))
    shifted = {**arrays, "memory.out.bias": arrays["memory.out.bias"] + shift}
    halved = {key: value.astype(np.float16) for key, value in shifted.items()}
    described = {
        **about,
        "classes": classes,
        "labels": {name: label_of(name) for name in classes},
        "temperature": temperature,
        "threshold": threshold,
    }
    return model_file.save(path, halved, described)
