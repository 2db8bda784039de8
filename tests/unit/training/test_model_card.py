"""The model card contains the measurements, and the attribution all authors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anc.noise import model_file
from anc.noise.classifier import DEFAULT_MODEL
from anc.noise.model_file import ModelFile
from training import model_card
from training.attribution import TARGET, attribution

NOISE = {
    "clips": 4,
    "clip_accuracy": 0.75,
    "clip_accuracy_95": [0.5, 1.0],
    "window_accuracy": 0.6,
    "folds": [{"fold": 1, "clips": 4, "clip_accuracy": 0.75, "window_accuracy": 0.6}],
    "recall": {"rain": 0.5, "dog": 1.0},
    "sources": {"esc50": [3, 4]},
    "classes": ["rain", "dog"],
    "confusion": [[1, 1], [0, 2]],
    "calibration_error": {"window": 0.05, "clip": 0.1},
}
ALARM = {
    "thresholds": {"1": 0.61, "2": 0.58},
    "operating_points": [
        {"others": 0.05, "threshold": 0.6, "siren": [1, 18], "horn": [3, 27], "alarm": [0, 3]}
    ],
    "false_alarms": {"windows": 0.02, "clips": 0.03, "clips_95": [0.01, 0.05], "negative_clips": 100},
    "clips_fired": {"siren": [9, 10], "crying_baby": [2, 40], "cat": [1, 1], "clock_alarm": [6, 6]},
    "sources": {
        "esc50": {"alarms": [9, 10], "others": [2, 60]},
        "bells": {"alarms": [0, 0], "others": [1, 3]},
    },
}
MEASURED = {"baby_cry": [3, 71], "horn_car": [1, 1]}


def reaction(median_s: float | None, detected: int) -> dict[str, Any]:
    return {"trials": 16, "detected": detected, "median_s": median_s, "worst_s": 3.0}


def write_reports(folder: Path, sha256: str) -> Path:
    """Write what is measured with a model into a folder, and return the folder."""
    kinds = {"siren: wail": {"0": reaction(0.86, 16)}, "siren: yelp": {"0": reaction(None, 7)}}
    documents = {
        "noise": NOISE,
        "esc10": NOISE,
        "alarm": ALARM,
        "measured": MEASURED,
        "alarms": {
            "model": sha256,
            "target_level_db": 0,
            "levels_db": [0],
            "noises": {"built-in cabin": {"kinds": kinds}},
        },
        "false-alarms": {
            "model": sha256,
            "cpu_s_per_hour": 30.4,
            "hours": {"music": {"minutes": 60.0, "per_hour": 1.5, "unseen_per_hour": 2.0}},
            "tonal": {"kettle": {"fired": 1, "plays": 6}},
            "tonal_fired": 1,
        },
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def shipped(tmp_path: Path) -> ModelFile:
    arrays = {
        "conv0.weight": np.ones((3, 3, 2, 4), np.float16),
        "conv1.weight": np.ones((3, 3, 4, 6), np.float16),
        "noise.weight": np.ones((10, 2), np.float16),
    }
    about = {
        "name": "tiny",
        "recordings": {"esc50": 70, "bells": 3},
        "teacher": "yamnet.tflite",
        "clips": 43_000,
        "steps": 5500,
        "seed": 1,
        "classes": ["rain", "dog"],
        "threshold": 0.6,
        "temperature": 0.9,
    }
    return model_file.save(tmp_path / "model.npz", arrays, about)


def test_all_sections_are_measured_and_filling_the_card_is_idempotent(
    tmp_path: Path, shipped: ModelFile
) -> None:
    folder = write_reports(tmp_path, shipped.sha256)
    generated = model_card.sections(folder, folder / "model-card.md", shipped)
    card = model_card.CARD.read_text(encoding="utf-8")
    filled = model_card.fill(card, generated)
    for line in (
        "| all | 4 | **75.0 %** (50.0 % to 100.0 %) | **60.0 %** |",
        "| siren | siren | 9 of 10 |",
        "| 5.0 % | 0.600 | 1 of 18 | 3 of 27 | 0 of 3 |",
        "| esc50 | 3 of 4 | 9 of 10 | 2 of 60 |",
        "| bells |  |  | 1 of 3 |",
        "The thresholds of the folds were 0.610, 0.580:",
        "| baby cry |  | 3 of 71 |",
        "| horn car | horn | 1 of 1 |",
        "| music | 60 | 1.5 | 2.0 |",
        "Searching an hour of sound took 30 s of one core.",
        "| siren: yelp | never (7 of 16) |",
        "- Emergencies that do not fire: siren (1 of 10).",
        "siren: yelp (9 of 16)",
        "- Other sounds that fire most often: crying baby (2 of 40).",
        "| recordings | 73 of 2 collections |",
        "| multiply-adds of a window | 0.3 million |",
    ):
        assert line in filled
    assert model_card.fill(filled, generated) == filled


def test_multiply_adds_are_those_of_every_position_of_a_convolution(shipped: ModelFile) -> None:
    positions = 40 * 24  # of both convolutions: the last one is not followed by pooling
    assert model_card.multiply_adds(shipped.arrays) == positions * (9 * 2 * 4 + 9 * 4 * 6) + 10 * 2


def test_figures_of_another_model_are_left_out(tmp_path: Path, shipped: ModelFile) -> None:
    folder = write_reports(tmp_path, "0" * 64)
    generated = model_card.sections(folder, folder / "model-card.md", shipped)
    assert generated["false-alarms"] == generated["delays"] == model_card.NOT_MEASURED
    assert "missed: not measured with this model yet." in generated["missed-alarms"]


def test_what_was_measured_afterwards_needs_no_reports_of_training(
    tmp_path: Path, shipped: ModelFile
) -> None:
    folder = write_reports(tmp_path, shipped.sha256)
    generated = model_card.sections(None, folder / "model-card.md", shipped)
    assert set(generated) == {"false-alarms", "delays", "missed-alarms"}
    assert "siren: yelp (9 of 16)" in generated["missed-alarms"]


def test_a_card_without_a_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for esc10"):
        model_card.fill("# An empty card", {"esc10": "a table"})


MANY = "path,source,original,class,licence,author,url_or_package,seconds,use\n"


def test_the_attribution_names_author_work_address_and_licence(tmp_path: Path) -> None:
    (tmp_path / "esc").mkdir()
    (tmp_path / "esc" / "clips.csv").write_text(
        "path,dataset,fold,esc10_class,esc50_class,source_id,licence,author,title,source_url\n"
        "a.ogg,esc10,1,Rain,Rain,7,CC-BY,Ann,my_rain.wav,http://example.org/7\n"
        "b.ogg,esc10,1,Rain,Rain,7,CC-BY,Ann,my_rain.wav,http://example.org/7\n"
        "c.ogg,esc10,2,Rain,Rain,8,CC0,Bob,drops.wav,http://example.org/8\n"
    )
    (tmp_path / "open" / "rirs").mkdir(parents=True)
    (tmp_path / "open" / "clips.csv").write_text(
        MANY + "d.ogg,bells,big,church_bell,CC BY 3.0,Cem,https://example.org/9 via github:a/b,3,train\n"
        "e.ogg,bells,small,church_bell,CC BY 3.0,Cem,github:a/b,3,train\n"
        "f.ogg,bells,tiny,church_bell,CC BY 3.0,Cem,deb:bells 1.0,3,train\n"
        "g.ogg,cries,cry,baby_cry,ODbL 1.0,Dan,github:c/d,3,measure\n"
    )
    (tmp_path / "open" / "rirs" / "rirs.csv").write_text(
        "path,licence,source\nhall.wav,CC0 1.0,github:e/f rooms\nbath.wav,CC0 1.0,same baths\n"
    )
    text = attribution(tmp_path / "esc", tmp_path / "open")
    assert "## CC BY: 1 original by 1 author" in text
    assert r"- Ann: [my\_rain.wav](<http://example.org/7>)" in text
    assert "## [CC BY 3.0](https://creativecommons.org/licenses/by/3.0/): 3 originals by 1 author" in text
    assert (
        "- Cem: [big](<https://example.org/9>), [small](<https://github.com/a/b>), tiny (deb:bells 1.0)"
        in text
    )
    assert text.index("Ann") < text.index("Cem") < text.index("Bob")
    assert "Dan" not in text, "only measured"
    assert "| bells | 3 |" in text
    assert "- bath.wav, CC0 1.0: github:e/f baths" in text
    assert "YAMNet" in text


def test_a_recording_without_an_author_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(MANY + "d.ogg,bells,big,church_bell,CC BY 3.0,,github:a/b,3,train\n")
    with pytest.raises(ValueError, match=r"d\.ogg: must have an author and a licence"):
        attribution(tmp_path)


def test_every_collection_of_the_bundled_model_is_credited() -> None:
    text = TARGET.read_text(encoding="utf-8")
    for collection, count in model_file.load(DEFAULT_MODEL).about["recordings"].items():
        assert f"| {collection} | {count} |" in text
