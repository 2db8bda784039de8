"""The program trains on folders of one's own recordings, with a class that the taxonomy does not know."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.progress import Progress

pytest.importorskip("torch", reason="training is not installed: requirements/train.txt")

from anc.noise import model_file
from anc.noise.classifier import OPERATING_POINT
from anc.noise.features import BANDS, WINDOW
from anc.noise.network import sigmoid
from training import commands, cross_validation
from training.clips import dataset as datasets
from training.clips.dataset import Plan
from training.export import write_model
from training.fit import Recipe
from training.judge import judge

TINY = commands.Options(
    plan=Plan(clips=14, tonal=4, each=1),
    recipe=Recipe(channels=(4, 6), steps=2, batch=4, memory_steps=2),
    folds=2,
)


@pytest.fixture(scope="module")
def own_recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with one folder per class; police sirens are an emergency."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for name in ("Espresso machine", "Rain", "Siren police"):
        (folder / name).mkdir()
        for number in range(2):
            soundfile.write(folder / name / f"{number}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    return folder


@pytest.fixture(scope="module")
def trained(own_recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("out")
    with Progress(disable=True) as progress:
        reports = commands.train([own_recordings], out, out / "mine.npz", TINY, progress)
    return out, reports


def test_training_on_own_recordings_writes_a_model_and_reports(trained: tuple[Path, dict[str, Any]]) -> None:
    out, reports = trained
    assert {path.name for path in out.glob("*.json")} == {"noise.json", "alarm.json"}
    assert reports["noise"]["clips"] == 6
    assert reports["alarm"]["clips_fired"]["siren"][1] == 2
    model = model_file.load(out / "mine.npz")
    assert model.sha256 == reports["model"]["sha256"]
    assert model.about["labels"]["rain"] == "weather"
    assert model.about["labels"]["espresso_machine"] == "other", "unknown to the taxonomy"
    assert model.about["recordings"] == {"folders": 6}
    said = judge(model.arrays, [np.full((WINDOW, BANDS), 60, np.uint8)])[0]
    assert said.logits.shape == (1, len(model.about["classes"]))
    assert said.scores.shape == (1, 3)


def test_evaluating_composes_nothing_anew_and_gives_the_same_reports(
    own_recordings: Path, trained: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, reports = trained
    monkeypatch.setattr(datasets, "build", None)
    with Progress(disable=True) as progress:
        again = commands.evaluate([own_recordings], out, TINY, progress)
    assert again == {name: report for name, report in reports.items() if name != "model"}


def test_the_clips_of_a_fold_are_left_out(trained: tuple[Path, dict[str, Any]]) -> None:
    dataset = datasets.load(trained[0] / "clips")
    assert dataset is not None
    part = dataset.without(1)
    assert 1 not in part.folds
    assert len(part.spectrograms) == len(part.kinds) == np.sum(dataset.folds != 1)
    assert datasets.load(trained[0] / "clips", ["another stamp"]) is None


def test_a_file_that_is_no_sound_and_a_teacher_that_is_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Rain").mkdir()
    (tmp_path / "Rain" / "a.wav").write_text("hello")
    with Progress(disable=True) as progress:
        with pytest.raises(Exception, match=r"a\.wav: not a sound file"):
            commands.evaluate([tmp_path], tmp_path / "out", TINY, progress)
        for name in ("no.tflite", "Rain/a.wav"):
            taught = commands.Options(teacher=tmp_path / name)
            with pytest.raises((FileNotFoundError, ValueError), match=name):
                commands.evaluate([tmp_path], tmp_path / "out", taught, progress)


def test_one_model_is_fitted_per_core_as_far_as_half_the_memory_suffices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cross_validation.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(cross_validation, "memory_bytes", lambda: 8_000_000_000)
    assert cross_validation.workers(6, 0) == 6
    assert cross_validation.workers(6, 700_000_000) == 2
    monkeypatch.setattr(cross_validation, "memory_bytes", lambda: 0)
    assert cross_validation.workers(6, 0) == 1


def test_the_exported_threshold_is_the_operating_point(tmp_path: Path) -> None:
    bias = np.log(np.array([0.3, 0.3, 0.3]) / 0.7).astype(np.float32)
    model = write_model(tmp_path / "m.npz", {"memory.out.bias": bias}, ["rain"], 1.0, 0.3, {"name": "tiny"})
    assert sigmoid(model.arrays["memory.out.bias"]) == pytest.approx(OPERATING_POINT, abs=1e-3)
