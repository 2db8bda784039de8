"""The evaluation of the control path: nothing acts early, nobody learns from the judged, the page is true."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from iot.fir import Signal
from iot.snapshot_scheduler import SUDDEN_CHANGE_S
from simulation.acoustic_plant import AcousticPlant
from simulation.network import NetworkConditions
from simulation.playback import QUIET_S, DelayedNoise
from simulation.scenes import Medley, Scene
from tools.cli.main import app
from tools.evaluation import baselines, dataset, page
from tools.evaluation.baselines import BaselineSignals, Trained
from tools.evaluation.dataset import PART_S
from tools.evaluation.metrics import figures, first_filter_s, longest_worse_s
from tools.evaluation.simulated_platform import SimulatedPlatform

RATE = dataset.RATE
DOCS = Path(__file__).parents[4] / "docs"


def test_a_quick_evaluation_reports_every_way_and_writes_its_page(tmp_path: Path) -> None:
    answer = CliRunner().invoke(
        app, ["evaluate", "control", "--quick", "--json", "--write", str(tmp_path), "--out", str(tmp_path)]
    )
    assert answer.exit_code == 0, answer.output
    assert {path.name for path in tmp_path.glob("*.png")} == {"control-fits.png", "control-people.png"}
    report = json.loads(answer.stdout)
    for family in report["families"].values():
        decibels = {way: figures["settled_db"] for way, figures in family["all"]["ways"].items()}
        assert decibels["platform"] > decibels["universal filter"] + 2
        assert max(decibels.values()) < family["all"]["best_fixed_db"] + 1
    assert report["filters"]["sent"] > 0
    assert "refused" not in report["filters"]
    for name, text in page.files(report).items():
        assert (tmp_path / name).read_text() == text


def test_the_page_and_the_plots_in_the_docs_are_of_the_report_in_the_docs() -> None:
    report = json.loads((DOCS / "control.json").read_text())
    for name, text in page.files(report).items():
        assert (DOCS / name).read_text() == text, name


def futures() -> list[DelayedNoise]:
    """Two noises that are one and the same until `SAME`."""
    return [
        DelayedNoise(Medley([Scene.built_in("cabin", RATE), Scene.built_in(other, RATE)], 2 * RATE), RATE)
        for other in ("engine", "street")
    ]


SAME = int((QUIET_S + 2.0) * RATE)


def test_nothing_of_the_platform_acts_on_what_has_not_sounded_yet(tmp_path: Path) -> None:
    left = []
    for k, noise in enumerate(futures()):
        platform, head = SimulatedPlatform(tmp_path / str(k)), AcousticPlant(1, RATE)
        platform.register("headset", head)
        left.append(platform.run("headset", head, noise, 4.5).residual)
    assert np.array_equal(left[0][:SAME], left[1][:SAME])
    assert not np.array_equal(left[0], left[1])


@pytest.mark.parametrize("rival", [baselines.universal, baselines.sfanc, baselines.gfanc])
def test_no_rival_acts_on_what_has_not_sounded_yet(
    rival: Callable[[BaselineSignals, Trained], Signal],
) -> None:
    trained = baselines.train(dataset.built_in().taught, [AcousticPlant(2, RATE)])
    left = [
        rival(baselines.baseline_signals(AcousticPlant(1, RATE), noise.read(5 * RATE)), trained)
        for noise in futures()
    ]
    assert np.allclose(left[0][:SAME], left[1][:SAME], rtol=0, atol=1e-9)


@pytest.mark.parametrize("one_way_s", [0.05, 0.3])
def test_a_first_filter_comes_as_late_as_its_messages(tmp_path: Path, one_way_s: float) -> None:
    platform, head = SimulatedPlatform(tmp_path), AcousticPlant(1, RATE)
    platform.register("headset", head)
    run = platform.run("headset", head, futures()[0], 3.0, conditions=NetworkConditions(one_way_s))
    first = first_filter_s(run.played, int(QUIET_S * RATE))
    assert first is not None
    assert 2 * one_way_s + SUDDEN_CHANGE_S < first < 2 * one_way_s + SUDDEN_CHANGE_S + 0.12


def test_no_original_is_both_learned_from_and_judged_on(tmp_path: Path) -> None:
    rows = ["path,esc10_class,esc50_class,source_id"]
    noise = np.random.default_rng(0).standard_normal(5 * RATE) / 8
    for k in range(6):
        soundfile.write(tmp_path / f"{k}.wav", noise, RATE)
        rows.append(f"{k}.wav,,Rain,{k // 2}")
    soundfile.write(tmp_path / "dog.wav", noise, RATE)
    (tmp_path / "clips.csv").write_text("\n".join([*rows, "dog.wav,,Dog bark,9"]))
    sounds = dataset.recorded(tmp_path)
    assert [clip.name for clip in sounds.judged] == ["0", "4"]
    assert [clip.name for clip in sounds.taught] == ["2"]


def test_no_head_is_both_learned_from_and_judged_on() -> None:
    for family in dataset.families(3):
        judged = [seed for noise in range(20) for seed in family.pupils_for(noise)]
        assert len(set(judged)) == 60
        assert not {0, *family.teachers} & set(judged)


def test_a_folder_without_recordings_is_refused_in_a_sentence(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["evaluate", "control", "--data", str(tmp_path)])
    assert answer.exit_code == 2
    assert "clips.csv" in answer.output


def test_the_longest_time_louder_than_without_control_is_found_and_silence_is_not_taken_for_it() -> None:
    d = np.concatenate([np.zeros(RATE), 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)])
    residual = 0.5 * d
    assert longest_worse_s(d, residual) == 0
    residual[2 * RATE : 2 * RATE + RATE // 2] = 2 * d[2 * RATE : 2 * RATE + RATE // 2]
    assert longest_worse_s(d, residual) == pytest.approx(0.5, abs=0.08)
    assert longest_worse_s(np.zeros(RATE), np.full(RATE, 1e-5)) == 0


def test_figures_are_those_of_a_residual_made_by_hand() -> None:
    change = RATE
    d = np.random.default_rng(0).standard_normal(int((1 + PART_S) * RATE))
    residual = d.copy()
    residual[change + RATE // 2 :] *= 0.1
    seen = figures(d, residual, change)
    assert seen.settled_db == pytest.approx(20)
    assert seen.to_90_percent_s == pytest.approx(0.75)  # the last quarter second is quiet in all of it
    assert seen.course_db[0] == 0
    assert seen.course_db[-1] == pytest.approx(20)
