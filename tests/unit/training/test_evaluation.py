"""Reports of a cross-validation, from the scores of models."""

from pathlib import Path

import numpy as np
import pytest

from training.evaluation import (
    alarm_report,
    calibration_error,
    detection_errors,
    fold_thresholds,
    interval,
    measured_report,
    noise_report,
    operating_point,
)
from training.judge import Judged
from training.material import Material
from training.recordings import Recording
from training.reports import Results


def recording(name: str, collection: str = "folders", source: str = "a", trains: bool = True) -> Recording:
    return Recording(Path("a.wav"), name, source, None, collection, trains=trains)


def scores(siren: float, windows: int = 4) -> np.ndarray:
    return np.tile([siren, 0.0, 0.0], (windows, 1))


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


def test_the_report_counts_clips_and_windows_and_collections() -> None:
    sure, wrong = np.array([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]]), np.array([[0.8, 0.2]])
    recordings = [recording("low", "esc50"), recording("high", "mine", "b")]
    report = noise_report([sure, wrong], np.array([0, 1]), ["low", "high"], np.array([1, 2]), recordings)
    assert report["clip_accuracy"] == 0.5
    assert report["window_accuracy"] == 0.5
    assert report["confusion"] == [[1, 0], [1, 0]]
    assert report["recall"] == {"low": 1.0, "high": 0.0}
    assert report["sources"] == {"esc50": [1, 1], "mine": [0, 1]}


def test_the_alarm_report_counts_by_class_and_collection_with_the_threshold_of_each_fold() -> None:
    recordings = [
        recording("siren", "esc10"),
        recording("siren_police", "mine", "b"),
        recording("dog", "mine", "c"),
        recording("rain", "mine", "d"),
        recording("alarm_clock", "mine", "e"),
    ]
    values = [scores(value) for value in (0.9, 0.4, 0.5, 0.1, 0.9)]
    report = alarm_report(values, recordings, np.array([1, 2, 1, 2, 2]), {1: 0.6, 2: 0.3})
    assert report["clips_fired"] == {"alarm_clock": [1, 1], "siren": [2, 2]}
    assert report["false_alarms"]["clips"] == 0
    assert report["false_alarms"]["negative_clips"] == 2
    assert report["sources"]["mine"] == {"alarms": [1, 1], "others": [0, 2]}, "alarm clocks are undecided"


def test_without_negatives_there_is_no_false_alarm_rate() -> None:
    report = alarm_report([scores(0.9)], [recording("siren")], np.array([1]), {1: 0.6})
    assert "false_alarms" not in report
    assert report["clips_fired"] == {"siren": [1, 1]}


def test_measured_recordings_are_counted_by_class() -> None:
    measured = [recording("baby_cry", trains=False), recording("baby_cry", trains=False)]
    assert measured_report(measured, [0.2, 0.8], 0.5) == {"baby_cry": [1, 2]}


def test_detection_errors_fall_and_rise_with_the_threshold() -> None:
    recordings = [recording("siren"), recording("dog"), recording("rain")]
    values = [scores(value) for value in (0.7, 0.2, 0.8)]
    errors = detection_errors(values, recordings, "siren")
    assert errors is not None
    false, missed = errors
    assert false.tolist() == [1.0, 0.5, 0.5]
    assert missed.tolist() == [0.0, 0.0, 1.0]
    assert detection_errors(values, recordings, "horn") is None


def test_an_operating_point_states_what_fewer_false_alarms_cost() -> None:
    recordings = [recording(name) for name in ("siren", "siren", "horn_car", *["dog"] * 10)]
    values = [scores(value) for value in (0.9, 0.5, 0.85, *np.linspace(0, 0.9, 10))]
    point = operating_point(values, recordings, 0.2)
    others = np.linspace(0, 0.9, 10)
    assert np.mean(others >= point["threshold"]) <= point["others"] == 0.2
    assert (point["siren"], point["horn"], point["alarm"]) == ([1, 2], [0, 1], [0, 0])


CLASSES = ["dog", "rain", "siren"]


def judged(name: str, siren: float) -> Judged:
    """Return what a model that is sure of a class says."""
    logits = np.tile([8.0 * (name == known) for known in CLASSES], (4, 1))
    return Judged(logits, scores(siren))


def results(tmp_path: Path, foreign: tuple[float, ...]) -> Results:
    names = ["dog", "rain", "siren", "dog", "rain", "siren"]
    recordings = [recording(name, "esc10", str(i)) for i, name in enumerate(names)]
    cries = [recording("baby_cry", "cries", trains=False) for _ in foreign]
    folds = np.array([1, 1, 1, 2, 2, 2])
    material = Material(recordings, folds, [], cries, [], CLASSES, tmp_path)
    said = {i: judged(name, 0.9 * (name == "siren")) for i, name in enumerate(names)}
    return Results(material, said, list(foreign))


def test_the_threshold_lies_above_the_foreign_cries(tmp_path: Path) -> None:
    found = results(tmp_path, (0.4, 0.6))
    assert 0.6 < found.threshold < 0.7
    assert found.reports["measured"] == {"baby_cry": [0, 2]}
    assert found.reports["alarm"]["clips_fired"]["siren"] == [2, 2]
    assert found.reports["noise"]["clip_accuracy"] == 1
    assert found.reports["esc10"]["classes"] == CLASSES
    assert found.temperature < 1, "the model is right more often than it says"
    assert sorted(found.plot(tmp_path)) == sorted(path.name for path in tmp_path.glob("*.png"))


def test_without_foreign_recordings_nothing_is_measured(tmp_path: Path) -> None:
    assert "measured" not in results(tmp_path, ()).reports


def test_a_single_fold_chooses_its_threshold_itself() -> None:
    recordings = [recording("dog"), recording("rain")]
    values = [scores(value) for value in (0.8, 0.4)]
    assert 0.8 < fold_thresholds(values, recordings, np.array([1, 1]), [0.2])[1] < 0.81


def test_each_fold_is_reported_at_a_threshold_that_others_chose(tmp_path: Path) -> None:
    found = results(tmp_path, ())
    loud = found._judged | {0: judged("dog", 0.8)}
    again = Results(found._material, loud, [])
    assert again.reports["alarm"]["thresholds"][1] < 0.8 < again.reports["alarm"]["thresholds"][2]
