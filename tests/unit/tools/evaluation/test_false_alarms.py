"""The evaluation of false alarms counts what a wearer notices, and its docs page matches its report."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from anc.noise import Classifier, MultichannelClassifier
from anc.noise.classifier import KINDS, LABELS
from tests.untrained_models import patch_predictions
from tools.cli.main import app
from tools.evaluation import everyday_material, false_alarms, false_alarms_report, tonal_sounds
from tools.evaluation.everyday_material import RATE, Clip

DOCS = Path(__file__).parents[4] / "docs"
LOUD = Clip(Path("loud.wav"), "kettle", "esc10", trainable=True)
SOFT = Clip(Path("soft.wav"), "rain", "donateacry", trainable=False)


def loud_is_an_alarm(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Detect a siren in every window with a loud end."""
    scores = np.zeros((len(views), len(KINDS)))
    scores[:, 0] = views[:, -12:].max(axis=(1, 2)) > 45
    return np.full((len(views), len(LABELS)), 1 / len(LABELS)), scores


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> MultichannelClassifier:
    patch_predictions(monkeypatch, loud_is_an_alarm)
    return MultichannelClassifier(Classifier.load(), RATE)


def noise(seconds: float, level: float) -> np.ndarray:
    return level * np.random.default_rng(1).standard_normal(int(seconds * RATE)).astype(np.float32)


def test_an_alarm_that_lasts_opens_once_and_stays_open_for_the_hold(detector: MultichannelClassifier) -> None:
    sounds = [(SOFT, noise(4, 1e-4)), (LOUD, noise(3, 0.3)), (SOFT, noise(5, 1e-4)), (LOUD, noise(1, 0.3))]
    found = false_alarms.listen(detector, [*sounds, (SOFT, noise(20, 1e-4))], lambda clip: clip is SOFT)
    assert (found.openings, found.unseen_openings) == (1, 0), "the second sound is within the hold"
    assert (found.causes, found.kinds) == ({"kettle": 1}, {"siren": 1})
    assert found.open_s == pytest.approx(3 + 5 + 1 + 10, abs=1.5)
    assert (found.seconds, found.unseen_s) == (33, 29)


def test_an_alarm_after_the_hold_opens_again(detector: MultichannelClassifier) -> None:
    sounds = [(LOUD, noise(2, 0.3)), (SOFT, noise(13, 1e-4))] * 2
    assert false_alarms.listen(detector, sounds, lambda clip: True).unseen_openings == 2


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Give a folder with two collections in the two formats of `clips.csv`."""
    rows = {
        "one": {"path": "a.wav", "dataset": "esc10", "esc10_class": "Crying baby", "esc50_class": ""},
        "two": {"path": "b.wav", "source": "talks", "class": "speech_en", "use": "measure"},
    }
    for name, row in rows.items():
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        soundfile.write(folder / row["path"], noise(1.5, 0.1), RATE)
        with (folder / "clips.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, row)
            table.writeheader()
            table.writerow(row)
    return tmp_path / "data"


def test_an_hour_has_its_classes_in_equal_shares_at_random_levels(recordings: Path) -> None:
    clips = everyday_material.read_clips(recordings)
    assert [(clip.name, clip.collection, clip.trainable) for clip in clips] == [
        ("crying_baby", "esc10", True),
        ("speech_en", "talks", False),
    ]
    cabin = everyday_material.of_hour(clips, "cabin")
    played = list(everyday_material.stream(cabin, "cabin", 12.0, np.random.default_rng(0)))
    assert sum(sound.size for _, sound in played) >= 12 * RATE
    assert abs(sum(1 if clip.name == "speech_en" else -1 for clip, _ in played)) <= 1
    assert len({round(float(np.std(sound)), 4) for _, sound in played}) == len(played)
    assert [clip.name for clip in everyday_material.of_hour(clips, "household")] == ["crying_baby"]


@pytest.mark.usefixtures("detector")
def test_the_command_reports_openings_by_hour_and_writes_its_page(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(false_alarms, "QUICK_S", 4.0)
    kettle = {"kettle": tonal_sounds.SOUNDS["kettle"]}
    monkeypatch.setattr(tonal_sounds, "SOUNDS", kettle)
    command = ["evaluate", "false-alarms", "--data", str(recordings), "--quick", "--json"]
    result = CliRunner().invoke(app, [*command, "--write", str(tmp_path)])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert set(document["hours"]) == {"speech", "household", "cabin"}
    assert document["hours"]["speech"]["openings"] == 1
    assert document["hours"]["speech"]["unseen_openings"] == 1, "not among the model's recordings"
    assert document["tonal"] == {"kettle": {"fired": 2, "plays": 2}}
    for name, text in false_alarms_report.files(document).items():
        assert (tmp_path / name).read_text() == text


def test_without_recordings_the_reason_is_given(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "false-alarms", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "must contain clips.csv" in result.output


@pytest.mark.parametrize("name", tonal_sounds.SOUNDS)
def test_tonal_sounds_vary_and_fit_the_scale(name: str) -> None:
    make = tonal_sounds.SOUNDS[name]
    one, other = make(np.random.default_rng(1)), make(np.random.default_rng(2))
    assert one.shape == (tonal_sounds.N,)
    assert np.isfinite(one).all()
    assert 0.05 < np.abs(one).max() < 4
    assert not np.array_equal(one, other)


def test_the_page_in_the_docs_matches_its_report() -> None:
    document = json.loads((DOCS / "false-alarms.json").read_text())
    for name, text in false_alarms_report.files(document).items():
        assert (DOCS / name).read_text() == text, name
    assert set(document["hours"]) <= set(everyday_material.HOURS)
    assert list(document["tonal"]) == list(tonal_sounds.SOUNDS)
