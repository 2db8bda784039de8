"""Write fitted networks, calibration and description to the model file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anc.noise import model_file
from anc.noise.classifier import LABELS, OPERATING_POINT
from training.alarm_model import emergency_classes_of
from training.calibration import shift_for
from training.fit import BIASES, Arrays
from training.taxonomy import label_of


def groups_of(classes: list[str]) -> NDArray[np.float64]:
    """Return the matrix (classes, labels) of 0 and 1 that maps classes to `LABELS`."""
    return np.array([[label == label_of(name) for label in LABELS] for name in classes], float)


def write_model(
    path: Path,
    noise: Arrays,
    alarm: Arrays,
    classes: list[str],
    temperature: float,
    thresholds: NDArray[np.float64],
    about: dict[str, object],
) -> model_file.ModelFile:
    """Write the model in half precision.

    Parameters
    ----------
    thresholds : (3,) float
        Raw score threshold of each kind; the logits are shifted so that it becomes 0.85.
    about : dict
        Further description: how and on what the model was trained.
    """
    shift = shift_for(thresholds, OPERATING_POINT)
    shifted = {key: value + shift if key.endswith(BIASES) else value for key, value in alarm.items()}
    halved = {key: value.astype(np.float16) for key, value in {**noise, **shifted}.items()}
    described = {
        **about,
        "classes": classes,
        "labels": {name: label_of(name) for name in classes},
        "witnesses": emergency_classes_of(classes),
        "temperature": temperature,
    }
    return model_file.save(path, halved, described)
