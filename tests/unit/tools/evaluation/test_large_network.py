"""The openings of a large network are counted as those of the headset are, in the same sounds."""

from pathlib import Path

import numpy as np
import pytest

from anc.noise.streaming import HOLD_HOPS
from tools.evaluation import everyday_material, false_alarms_report, large_network
from tools.evaluation.everyday_material import RATE, Clip
from training.teacher import CLASSES, EMERGENCIES, LENGTH


class LoudIsASiren:
    """A network that scores an emergency by the peak of its input, and everything else higher."""

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        assert samples.shape == (LENGTH,)
        found = np.full(CLASSES, 0.99, np.float32)
        found[EMERGENCIES] = 0
        found[EMERGENCIES[3]] = np.abs(samples).max()
        return found


def test_windows_are_those_of_the_detector_and_only_emergencies_count() -> None:
    sound = np.zeros(3 * RATE, np.float32)
    sound[2 * RATE + 1600] = 0.6  # first heard in the window that ends at 2.25 s
    found = large_network.scores(LoudIsASiren(), sound)
    assert found.tolist() == pytest.approx([0] * 5 + [0.6] * 4)


@pytest.mark.parametrize(
    ("found", "count"),
    [
        ([0.9, 0.0, 0.0, 0.9], 0),
        ([0.9, 0.0, 0.9], 1),
        ([0.9, 0.9, *[0.0] * (HOLD_HOPS - 1), 0.9, 0.9], 1),
        ([0.9, 0.9, *[0.0] * (HOLD_HOPS + 1), 0.9, 0.9], 2),
    ],
)
def test_two_of_three_windows_open_for_the_hold(found: list[float], count: int) -> None:
    assert large_network.openings(np.array(found, np.float32), 0.5) == count


def test_the_report_has_openings_per_hour_by_threshold_and_a_section_of_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loud = Clip(Path("a.wav"), "music_brass", "one", trainable=True)
    beats = np.where(np.arange(60 * RATE) // RATE % 20 < 2, 0.6, 0.0).astype(np.float32)
    monkeypatch.setattr(everyday_material, "stream", lambda *arguments: iter([(loud, beats)]))
    found = large_network.measure(LoudIsASiren(), [loud], 1.0)
    assert found["hours"] == {"music": [180.0, 180.0, 0.0]}
    tonal = {"tonal": {}, "tonal_fired": 0, "tonal_plays": 0}
    hour = dict.fromkeys(("recordings", "minutes", "unseen_minutes", "unseen_per_hour", "open_percent"), 1)
    document = {"model": "00", "trained_on": [], "target_per_hour": 1.0, "large_network": found} | tonal
    document["hours"] = {"music": hour | {"per_hour": 104.0, "causes": {}}}
    page = false_alarms_report.files(document)["false-alarms.md"]
    thresholds = "YAMNet, threshold 0.3 | YAMNet, threshold 0.5 | YAMNet, threshold 0.7"
    head = f"| sound | this model | {thresholds} |\n|---|---|---|---|---|\n"
    assert f"{head}| music | 104.0 | 180.0 | 180.0 | 0.0 |\n" in page
    document.pop("large_network")
    assert "YAMNet, threshold" not in false_alarms_report.files(document)["false-alarms.md"]
