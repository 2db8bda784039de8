"""PyTorch training and numpy inference agree, and a fitted network separates what it was shown."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch", reason="training is not installed: requirements/train.txt")

import torch

from anc.noise.features import BANDS, WINDOW, network_input
from anc.noise.network import Memory, Network
from training.clips.compose import COLUMNS, TAUGHT, WINDOWS
from training.clips.dataset import Dataset
from training.fit import Recipe, Student, fit, teacher_loss
from training.memory import Judge, fit_memory
from training.teacher import CLASSES

TINY = Recipe(channels=(4, 6, 8), steps=40, batch=16, memory_steps=3)
TINIEST = Recipe(channels=(2, 3), steps=2, batch=2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Fit with one thread, as training does, so that results are reproducible."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
        taught=np.full((clips, len(TAUGHT), CLASSES), np.nan, np.float16),
        folds=truth.astype(np.int16) + 1,
    )


def network_of(arrays: dict[str, np.ndarray]) -> Network:
    """Return a network whose features, which the memory fits, are the logits of the kinds."""
    return Network(arrays | {f"features.{name}": arrays[f"kinds.{name}"] for name in ("weight", "bias")})


def test_a_fitted_network_separates_low_and_high_noise() -> None:
    dataset = low_and_high(40)
    outputs = network_of(fit(TINY, dataset, 0))(network_input(dataset.spectrograms[:8, :WINDOW]))
    assert outputs.noise.argmax(axis=1).tolist() == [0, 1] * 4


def test_fitting_is_reproducible_by_its_seed() -> None:
    first, again, other = (fit(TINIEST, low_and_high(4), seed)["conv0.weight"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_numpy_and_pytorch_inference_agree() -> None:
    torch.manual_seed(0)
    student = Student(TINY, 5)
    for parameter in student.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    x = network_input(low_and_high(3).spectrograms[:, :WINDOW])
    student.train()
    student(torch.from_numpy(x))  # collects statistics for the batch norm
    student.eval()
    with torch.no_grad():
        there = student(torch.from_numpy(x))
        pooled = student.pooled(torch.from_numpy(x))
    here = network_of(student.exported())
    assert here.pooled(x) == pytest.approx(pooled.numpy(), rel=1e-3, abs=1e-3)
    assert here(x).noise == pytest.approx(there["noise"].numpy(), rel=1e-3, abs=1e-3)
    assert here(x).evidence[:, :3] == pytest.approx(there["kinds"].numpy(), rel=1e-3, abs=1e-3)


def test_numpy_and_pytorch_agree_about_the_memory() -> None:
    rng = np.random.default_rng(1)
    size = 16
    kinds = {"kinds.weight": rng.normal(size=(size, 3)), "kinds.bias": np.zeros(3)}
    judge = Judge({name: array.astype(np.float32) for name, array in kinds.items()})
    arrays = judge.exported()
    x = rng.normal(size=(1, WINDOWS, size)).astype(np.float32)
    for known in (1, 4, WINDOWS):
        seen = (np.arange(WINDOWS) >= WINDOWS - known)[None].astype(np.float32)
        with torch.no_grad():
            there = judge(torch.from_numpy(x), torch.from_numpy(seen)).numpy()
        features = np.maximum(x[0] @ arrays["features.weight"] + arrays["features.bias"], 0)
        evidence = np.concatenate([x[0] @ kinds["kinds.weight"], features], axis=1)[-known:]
        assert Memory(arrays)(evidence)[-1] == pytest.approx(there[0], abs=1e-4)


def test_the_memory_does_not_change_the_network() -> None:
    dataset = low_and_high(4)
    arrays = fit(TINIEST, dataset, 0)
    added = fit_memory(arrays, dataset, 2, 0)
    assert not set(arrays) & set(added)
    assert Memory(added).windows == WINDOWS
    Network(arrays | added)


def test_what_the_teacher_does_not_say_is_not_learned() -> None:
    logits = torch.zeros(2, 3)
    assert teacher_loss(logits, torch.full((2, 3), torch.nan)) == 0
    assert teacher_loss(logits, torch.full((2, 3), 0.5)) == 0
    assert teacher_loss(logits, torch.full((2, 3), 0.9)) > 0
