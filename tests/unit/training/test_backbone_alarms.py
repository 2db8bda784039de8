"""The alarm detector of a backbone's head finds what it was fitted to, at the stated false alarms."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training is not installed: requirements/train.txt")

from anc.noise import KINDS
from anc.noise.classifier import OPERATING_POINT, vote
from anc.noise.network import sigmoid
from training.backbone import FALSE_ALARMS, fit_alarms

SIZE = 12


@pytest.fixture(scope="module")
def recordings() -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """Give embeddings, classes and folds: sirens differ in one dimension, clock alarms are as sirens."""
    rng = np.random.default_rng(0)
    names = ["siren", "rain", "dog", "rain", "clock_alarm"] * 60
    inputs = [rng.standard_normal((5, SIZE)) for _ in names]
    for name, one in zip(names, inputs, strict=True):
        one[:, 3] += 6.0 * (name in ("siren", "clock_alarm"))
    return inputs, names, np.arange(len(names)) // 5 % 5 + 1


def test_alarms_are_detected_at_the_operating_point_of_the_layer(
    recordings: tuple[list[np.ndarray], list[str], np.ndarray],
) -> None:
    inputs, names, folds = recordings
    head = {"mean": np.zeros(SIZE), "scale": np.ones(SIZE)}
    alarms = fit_alarms(head, inputs, names, folds)
    scores = [vote(sigmoid(x @ alarms["alarm_weight"] + alarms["alarm_bias"])) for x in inputs]
    fired = np.array([score >= OPERATING_POINT for score in scores])
    siren = KINDS.index("siren")
    positive = np.array([name == "siren" for name in names])
    negative = np.array([name in ("rain", "dog") for name in names])
    assert fired[positive, siren].mean() > 0.95
    assert fired[negative, siren].mean() < 3 * FALSE_ALARMS
    assert not fired[:, [i for i in range(len(KINDS)) if i != siren]].any(), "kinds without recordings"
