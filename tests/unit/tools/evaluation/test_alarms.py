"""The alarm evaluation measures delays correctly, is reproducible, and matches its docs page."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iot.controller import FADE_S
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant
from simulation.playback import BLOCK_S
from simulation.scenes import Scene
from tools.cli.main import app
from tools.evaluation import alarms, alarms_report
from tools.evaluation.mixture import AFTER_S, BEFORE_S, NOISE_DBFS, mixture
from tools.evaluation.simulated_platform import SimulatedPlatform
from training.synthesis import RATE

DOCS = Path(__file__).parents[4] / "docs"


class DetectorFrom:
    """A detector that reports an alarm from a given time on."""

    def __init__(self, second: float) -> None:
        self._second, self._samples = second, 0

    @property
    def holding(self) -> bool:
        return self._samples / RATE >= self._second

    def process(self, block: Signal) -> None:
        self._samples += len(block)


@pytest.mark.parametrize("detected_after_s", [-0.5, 1.0, float("inf")])
def test_the_delay_ends_when_the_filter_is_faded_out(tmp_path: Path, detected_after_s: float) -> None:
    noise = Scene.built_in("cabin", RATE).read(int((BEFORE_S + AFTER_S) * RATE)).astype(np.float64)
    mixed = mixture(0.5 * np.sin(np.arange(int(AFTER_S * RATE)) * 0.3), noise, 0)
    onset_s = mixed.onset / RATE
    platform = SimulatedPlatform(tmp_path / "platform")
    detector = DetectorFrom(onset_s + detected_after_s)
    headset = alarms.registered_headset(platform, "left", AcousticPlant(1, RATE), mixed, detector)
    cancelling, false_alarm, delay_s = alarms.run_alarm(headset, mixed)
    assert cancelling
    assert false_alarm == (detected_after_s < 0)
    if detected_after_s == 1.0:
        assert delay_s is not None
        assert FADE_S < delay_s - detected_after_s < FADE_S + 4 * BLOCK_S
    else:
        assert delay_s is None


@pytest.mark.parametrize("level_db", [-5, 10])
def test_the_alarm_level_excludes_its_pauses(level_db: int) -> None:
    noise = np.random.default_rng(0).standard_normal(4 * RATE)
    tone = 0.5 * np.sin(np.arange(2 * RATE) * 0.3) * (np.arange(2 * RATE) % 8000 < 4000)  # 50 % pauses
    levelled = noise * 10 ** (NOISE_DBFS / 20) / np.sqrt(np.mean(noise**2))
    alarm = (mixture(tone, noise, level_db).samples - levelled)[2 * RATE : 2 * RATE + 4000]
    assert 10 * np.log10(np.mean(alarm**2)) - NOISE_DBFS == pytest.approx(level_db, abs=1.0)


@pytest.mark.thorough
def test_a_quick_evaluation_is_reproducible_and_writes_its_page(tmp_path: Path) -> None:
    command = ["evaluate", "alarms", "--quick", "--json", "--write", str(tmp_path), "--out", str(tmp_path)]
    first, second = (CliRunner().invoke(app, command) for _ in range(2))
    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    assert document == json.loads(second.stdout)
    (found,) = document["noises"].values()
    assert found["trials"] == found["cancelling"] == 4
    assert found["false_alarms"] == 0
    for levels in found["kinds"].values():
        assert 0.3 < levels["10"]["median_s"] < 1.6
    for name, text in alarms_report.files(document).items():
        assert (tmp_path / name).read_text() == text


def test_the_page_in_the_docs_matches_the_report_and_has_every_kind_and_level() -> None:
    document = json.loads((DOCS / "alarms.json").read_text())
    for name, text in alarms_report.files(document).items():
        assert (DOCS / name).read_text() == text, name
    for found in document["noises"].values():
        assert list(found["kinds"]) == [*alarms.KINDS, alarms_report.ALL]
        assert all(list(levels) == ["-5", "0", "5", "10", "20"] for levels in found["kinds"].values())


def test_missed_alarms_raise_the_median_and_not_the_longest_delay() -> None:
    delays = [0.6, 0.8, None, None, 1.0]
    responses = [alarms.Response(alarms.BUILT_IN, "car horn", 0, True, False, delay_s) for delay_s in delays]
    found = alarms_report.report(responses, {alarms.BUILT_IN: "a cabin"}, "anc", "0")["noises"][
        alarms.BUILT_IN
    ]
    assert found["kinds"]["car horn"]["0"] == {
        "trials": 5,
        "detected": 3,
        "median_s": 1.0,
        "worst_s": 1.0,
        "delays_s": delays,
    }
    late = alarms_report.report(
        [*responses, alarms.Response(alarms.BUILT_IN, "car horn", 0, True, True, None)],
        {alarms.BUILT_IN: "a cabin"},
        "anc",
        "0",
    )["noises"][alarms.BUILT_IN]
    assert late["kinds"]["car horn"]["0"]["median_s"] is None
    assert late["missed"] == ["car horn", alarms_report.ALL]
    assert late["false_alarms"] == 1
