"""JAX training and numpy inference agree, and cross-validation does not leak."""

import numpy as np
import pytest

pytest.importorskip("jax", reason="training is not installed: requirements/train.txt")
pytest.importorskip("optax", reason="training is not installed: requirements/train.txt")

import jax.numpy as jnp
from rich.progress import Progress

from anc.noise.features import BANDS, WINDOW, network_input
from anc.noise.handcrafted import handcrafted_features
from anc.noise.network import ConvNet, Ensemble, Perceptron
from training import fit as fitting
from training.evaluation import calibration_error, interval, noise_report, out_of_fold
from training.fit import Recipe, fit
from training.spectrograms import Sound

TINY = Recipe(channels=(4, 6, 8), steps=60, exclusive=True, members=2)


def two_classes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Low noises and high ones."""
    truth = rng.integers(0, 2, 16)
    spectrograms = rng.integers(40, 60, (16, WINDOW, BANDS))
    spectrograms[:, :, :40] += 30 * (truth == 0)[:, None, None]
    spectrograms[:, :, 40:] += 30 * (truth == 1)[:, None, None]
    return network_input(spectrograms.astype(np.uint8)), np.eye(2, dtype=np.float32)[truth]


def test_a_fitted_network_separates_low_and_high_noise() -> None:
    with Progress(disable=True) as progress:
        arrays = fit(TINY, two_classes, "noise", 0, progress)
    x, targets = two_classes(np.random.default_rng(99))
    members = [ConvNet(arrays, f"noise.{i}")(x) for i in (0, 1)]
    members.append(Perceptron(arrays, "noise.hand")(handcrafted_features(x)))
    for logits in members:
        assert np.array_equal(logits.argmax(axis=1), targets.argmax(axis=1))
    assert Ensemble(arrays, "noise")(x, handcrafted_features(x)) == pytest.approx(np.mean(members, axis=0))


def test_numpy_and_jax_inference_agree() -> None:
    rng = np.random.default_rng(0)
    parameters = fitting._initial_parameters(TINY, 5, 0, rng)
    parameters = {k: v + 0.3 * rng.standard_normal(v.shape).astype(np.float32) for k, v in parameters.items()}
    x, _ = two_classes(rng)
    pooled, seen = fitting._pooled(parameters, jnp.asarray(x), 3)
    there = np.asarray(pooled @ parameters["dense"] + parameters["bias"])
    statistics = {key: np.asarray(value) for key, value in seen.items()}
    here = ConvNet(
        fitting._fold_batch_norm(TINY, parameters, statistics, "noise", np.zeros(0), np.zeros(0)), "noise"
    )(x)
    assert here == pytest.approx(there, rel=1e-3, abs=1e-3)


def test_a_fold_is_evaluated_with_a_model_fitted_without_it() -> None:
    sounds = [Sound((np.full((WINDOW, BANDS), i, np.uint8),), (np.array([0]),)) for i in range(9)]
    folds = np.arange(9) % 3

    def remember(rows: np.ndarray, fold: int) -> dict[str, np.ndarray]:
        assert not np.any(folds[rows] == fold)
        return {"seen": rows}

    def confess(arrays: dict[str, np.ndarray], views: np.ndarray) -> np.ndarray:
        assert views[0, 0, 0] not in arrays["seen"]
        return np.array([[views[0, 0, 0]]])

    outputs = out_of_fold(sounds, folds, remember, confess)
    assert [int(one[0, 0]) for one in outputs] == list(range(9))


def test_the_interval_is_wider_when_clips_share_their_source() -> None:
    right = np.tile([True, False], 50)
    alone = interval(right, [str(i) for i in range(100)])
    together = interval(np.repeat([True, False], 50), [str(i // 10) for i in range(100)])
    assert alone[0] < 0.5 < alone[1]
    assert together[1] - together[0] > alone[1] - alone[0]


def test_calibrated_confidence_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 100_000)
    right = rng.uniform(size=100_000) < confidence
    assert calibration_error(confidence, right) < 0.01
    assert calibration_error(confidence, rng.uniform(size=100_000) < confidence - 0.2) == pytest.approx(
        0.2, abs=0.01
    )


def test_the_report_counts_clips_and_windows() -> None:
    sure, wrong = np.array([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]]), np.array([[0.8, 0.2]])
    report = noise_report([sure, wrong], np.array([0, 1]), ["low", "high"], np.array([1, 2]), ["a", "b"])
    assert report["clip_accuracy"] == 0.5
    assert report["window_accuracy"] == 0.5
    assert report["confusion"] == [[1, 0], [1, 0]]
    assert report["recall"] == {"low": 1.0, "high": 0.0}
