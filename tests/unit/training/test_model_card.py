"""The model card contains the measurements, and the attribution all authors."""

import json
from pathlib import Path

import pytest

from training.attribution import attribution

REPORT = {
    "clips": 4,
    "clip_accuracy": 0.75,
    "clip_accuracy_95": [0.5, 1.0],
    "window_accuracy": 0.6,
    "folds": [{"fold": 1, "clips": 4, "clip_accuracy": 0.75, "window_accuracy": 0.6}],
    "recall": {"rain": 0.5, "dog": 1.0},
    "classes": ["rain", "dog"],
    "confusion": [[1, 1], [0, 2]],
    "calibration_error": {"window": 0.05, "clip": 0.1},
}
ALARM = {
    "false_alarms": {"windows": 0.02, "voted_decisions": 0.01, "clips": 0.03, "negative_clips": 100},
    "clips_fired": {"siren": [9, 10]},
}
LEVEL = {"heard": 0.5, "median_s": 1.25, "p90_s": None}
DELAYS = {"wail": dict.fromkeys(map(str, (-5, 0, 5, 10, 20)), LEVEL)}
DELAYS["cabin noise alone"] = {"decisions": 10, "fired": 0}


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    for name in ("esc10", "noise", "backbone"):
        (tmp_path / f"{name}.json").write_text(json.dumps(REPORT))
    (tmp_path / "alarm.json").write_text(json.dumps(ALARM))
    (tmp_path / "delays.json").write_text(json.dumps(DELAYS))
    return tmp_path


def test_filling_the_model_card_fills_all_tables_and_is_idempotent(reports: Path) -> None:
    card = pytest.importorskip("training.model_card")
    filled = card.fill(card.CARD.read_text(encoding="utf-8"), reports)
    assert "| all | 4 | **75.0 %** (50.0 % to 100.0 %) | **60.0 %** |" in filled
    assert "| siren | 9 of 10 |" in filled
    assert "| wail | 1.25 s (50%)" in filled
    assert card.fill(filled, reports) == filled


def test_a_card_without_a_marker_is_refused(reports: Path) -> None:
    card = pytest.importorskip("training.model_card")
    with pytest.raises(ValueError, match="no place for esc10"):
        card.fill("# An empty card", reports)


def test_the_attribution_names_author_work_address_and_licence(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(
        "path,dataset,fold,esc10_class,esc50_class,source_id,licence,author,title,source_url\n"
        "a.ogg,esc10,1,Rain,Rain,7,CC-BY,Ann,my_rain.wav,http://example.org/7\n"
        "b.ogg,esc10,1,Rain,Rain,7,CC-BY,Ann,my_rain.wav,http://example.org/7\n"
        "c.ogg,esc10,2,Rain,Rain,8,CC0,Bob,drops.wav,http://example.org/8\n"
    )
    text = attribution(tmp_path)
    assert "## CC BY: 1 recordings by 1 authors" in text
    assert r"- Ann: [my\_rain.wav](http://example.org/7)" in text
    assert text.index("Ann") < text.index("Bob")
