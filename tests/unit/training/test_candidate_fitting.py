"""The candidate: JAX training and numpy inference agree, and its program trains on small recordings."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("jax", reason="training is not installed: requirements/train.txt")
pytest.importorskip("optax", reason="training is not installed: requirements/train.txt")

import jax.numpy as jnp
from rich.progress import Progress

from anc.noise import model_file
from anc.noise.classifier import OPERATING_POINT
from anc.noise.features import BANDS, WINDOW, network_input
from anc.noise.network import sigmoid
from training.candidate import commands
from training.candidate import fit as fitting
from training.candidate import memory as remembering
from training.candidate.clips import COLUMNS, TAUGHT, WINDOWS
from training.candidate.dataset import Dataset, Plan
from training.candidate.export import write_model
from training.candidate.fit import Recipe, fit
from training.candidate.model import judge
from training.candidate.network import Memory, Network
from training.candidate.teacher import AUXILIARY

TINY = Recipe(channels=(4, 6, 8), steps=40, batch=16, memory_steps=3)


def low_and_high(clips: int) -> Dataset:
    """Low noises and high ones."""
    rng = np.random.default_rng(0)
    truth = np.arange(clips) % 2
    spectrograms = rng.integers(40, 60, (clips, COLUMNS, BANDS)).astype(np.uint8)
    spectrograms[truth == 0, :, :40] += 30
    spectrograms[truth == 1, :, 40:] += 30
    return Dataset(
        classes=["low", "high"],
        spectrograms=spectrograms,
        noise=np.stack([truth, np.full(clips, -1)], axis=1).astype(np.int16),
        share=np.ones((clips, WINDOWS), np.float16),
        kinds=np.zeros((clips, WINDOWS, 3), np.float16),
        taught=np.full((clips, len(TAUGHT), len(AUXILIARY)), np.nan, np.float16),
        folds=truth.astype(np.int16) + 1,
    )


def test_a_fitted_network_separates_low_and_high_noise() -> None:
    dataset = low_and_high(40)
    with Progress(disable=True) as progress:
        arrays = fit(TINY, dataset, 0, progress)
    heads = {f"features.{name}": arrays[f"kinds.{name}"] for name in ("weight", "bias")}
    outputs = Network(arrays | heads)(network_input(dataset.spectrograms[:8, :WINDOW]))
    assert outputs.noise.argmax(axis=1).tolist() == [0, 1] * 4


def test_numpy_and_jax_inference_agree() -> None:
    rng = np.random.default_rng(0)
    parameters = fitting._initial_parameters(TINY, 5, rng)
    parameters = {k: v + 0.3 * rng.standard_normal(v.shape).astype(np.float32) for k, v in parameters.items()}
    x = network_input(low_and_high(3).spectrograms[:, :WINDOW])
    there, seen = fitting._pooled(parameters, jnp.asarray(x), 3)
    folded = fitting._fold_batch_norm(
        TINY, parameters, {key: np.asarray(value) for key, value in seen.items()}
    )
    heads = {f"features.{name}": folded[f"kinds.{name}"] for name in ("weight", "bias")}
    assert Network(folded | heads).pooled(x) == pytest.approx(np.asarray(there), rel=1e-3, abs=1e-3)


def test_numpy_and_jax_agree_about_the_memory() -> None:
    rng = np.random.default_rng(1)
    size = 16
    arrays = {name: np.asarray(value) for name, value in remembering._initial_parameters(size, rng).items()}
    kinds = {"weight": rng.normal(size=(size, 3)).astype(np.float32), "bias": np.zeros(3, np.float32)}
    x = rng.normal(size=(1, WINDOWS, size)).astype(np.float32)
    for known in (1, 4, WINDOWS):
        seen = (np.arange(WINDOWS) >= WINDOWS - known)[None].astype(np.float32)
        there = remembering.judged({k: jnp.asarray(v) for k, v in arrays.items()}, kinds, x, seen)
        features = np.maximum(x[0] @ arrays["features.weight"] + arrays["features.bias"], 0)
        evidence = np.concatenate([x[0] @ kinds["weight"], features], axis=1)[-known:]
        assert Memory(arrays)(evidence)[-1] == pytest.approx(np.asarray(there)[0], abs=1e-4)


def test_the_clips_of_a_fold_are_left_out() -> None:
    part = low_and_high(10).without(1)
    assert part.folds.tolist() == [2] * 5
    assert len(part.spectrograms) == len(part.kinds) == 5


def test_the_program_writes_a_candidate_and_its_scores(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("Espresso machine", "Rain"):
        for number in range(2):
            path = tmp_path / "data" / name / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.standard_normal(16_000), 16_000)
    recipe = Recipe(channels=(4, 6), steps=2, batch=4, memory_steps=2)
    options = commands.Options(plan=Plan(clips=12, each=1), recipe=recipe, folds=1)
    reports = commands.train(tmp_path / "data", tmp_path / "out", options)
    assert reports["noise"]["clips"] == 2
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {
        "noise.json",
        "alarm.json",
        "measured.json",
    }
    model = model_file.load(tmp_path / "out" / commands.MODEL_FILE)
    assert model.about["labels"]["rain"] == "weather"
    judged = judge(model.arrays, [np.full((WINDOW, BANDS), 60, np.uint8)])[0]
    assert judged.logits.shape == (1, len(model.about["classes"]))
    assert judged.scores.shape == (1, 3)


def test_the_exported_threshold_is_the_operating_point(tmp_path: Path) -> None:
    bias = np.log(np.array([0.3, 0.3, 0.3]) / 0.7).astype(np.float32)
    model = write_model(tmp_path / "m.npz", {"memory.out.bias": bias}, ["rain"], 1.0, 0.3, {"name": "tiny"})
    assert sigmoid(model.arrays["memory.out.bias"]) == pytest.approx(OPERATING_POINT, abs=1e-3)
