"""Models of the right form that have learnt nothing: what they hear is decided when they are made."""

from pathlib import Path

import numpy as np

from anc.noise import KINDS, LABELS
from anc.noise.features import BANDS, WINDOW, network_input
from anc.noise.hand import hand_features
from anc.noise.model_file import save


def untaught_model(path: Path, alarm: bool, label: str = "machine") -> Path:
    """Write a model that hears `label` in everything, and an alarm in everything or in nothing."""
    hand = hand_features(network_input(np.zeros((1, WINDOW, BANDS), np.uint8))).shape[1]
    bias = np.where(np.array(LABELS) == label, 9.0, 0.0).astype(np.float32)
    arrays = {
        "noise.dense.weight": np.zeros((4, len(LABELS)), np.float32),
        "noise.dense.bias": bias,
        "hand.weight": np.zeros((hand, len(LABELS)), np.float32),
        "hand.bias": bias,
        "alarm.dense.weight": np.zeros((4, len(KINDS)), np.float32),
        "alarm.dense.bias": np.full(len(KINDS), 9.0 if alarm else -9.0, np.float32),
    }
    about = {
        "name": "untaught",
        "classes": list(LABELS),
        "labels": {name: name for name in LABELS},
        "temperature": 1.0,
    }
    save(path, arrays, about)
    return path
