"""The control-path evaluation is causal, keeps training and test data apart, and matches its docs page."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from anc.dsp import attenuation_db
from iot.fir import Signal
from iot.snapshot_scheduler import SUDDEN_CHANGE_S
from simulation.acoustic_plant import AcousticPlant
from simulation.network import NetworkConditions
from simulation.playback import QUIET_S, DelayedNoise
from simulation.scenes import Medley, Scene
from tools.cli.main import app
from tools.evaluation import baselines, dataset, page, redesign
from tools.evaluation.baselines import BaselineSignals, TrainedBaselines
from tools.evaluation.dataset import PART_S
from tools.evaluation.metrics import first_filter_s, longest_louder_s, measure
from tools.evaluation.simulated_platform import SimulatedPlatform

RATE = dataset.RATE
DOCS = Path(__file__).parents[4] / "docs"


@pytest.mark.thorough
def test_a_quick_evaluation_reports_every_method_and_writes_its_page(tmp_path: Path) -> None:
    answer = CliRunner().invoke(
        app, ["evaluate", "control", "--quick", "--json", "--write", str(tmp_path), "--out", str(tmp_path)]
    )
    assert answer.exit_code == 0, answer.output
    names = {path.name for path in tmp_path.glob("*.png")}
    plots = ("anatomies", "bands", "diffuse-field", "moving-sources", "path-mismatch")
    assert names == {f"control-{name}.png" for name in plots}
    report = json.loads(answer.stdout)
    for family in report["families"].values():
        decibels = {method: metrics["settled_db"] for method, metrics in family["all"]["methods"].items()}
        assert decibels["platform"] > decibels["universal filter"] + 2
        assert max(decibels.values()) < family["all"]["best_fixed_db"] + 1
        assert family["all"]["best_fixed_db"] < family["all"]["coherence_limit_db"]
    assert report["filters"]["sent"] > 0
    assert "refused" not in report["filters"]
    written = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    assert written.keys() == {f"control-{name}.svg" for name in plots}
    for name, content in page.files(report, written).items():
        assert (tmp_path / name).read_bytes() == content


def test_page_and_plots_in_the_docs_match_the_report() -> None:
    report = json.loads((DOCS / "control.json").read_text())
    for name, content in page.files(report, page.figures(report, "svg")).items():
        assert (DOCS / name).read_bytes() == content, name


def test_the_page_says_when_another_model_named_the_noise() -> None:
    report = json.loads((DOCS / "control.json").read_text())
    assert (
        b"an earlier model than the one that ships"
        in page.files(report | {"model": "0" * 64}, {})["control.md"]
    )


def diverging_noises() -> list[DelayedNoise]:
    """Return two noises that are equal until sample `SAME`."""
    return [
        DelayedNoise(Medley([Scene.built_in("cabin", RATE), Scene.built_in(other, RATE)], 2 * RATE), RATE)
        for other in ("engine", "street")
    ]


SAME = int((QUIET_S + 2.0) * RATE)


def test_the_simulated_platform_is_causal(tmp_path: Path) -> None:
    residuals = []
    for k, noise in enumerate(diverging_noises()):
        platform, head = SimulatedPlatform(tmp_path / str(k)), AcousticPlant(1, RATE)
        platform.register("headset", head)
        residuals.append(platform.run("headset", head, noise, 4.5).residual)
    assert np.array_equal(residuals[0][:SAME], residuals[1][:SAME])
    assert not np.array_equal(residuals[0], residuals[1])


@pytest.mark.parametrize("baseline", [baselines.universal, baselines.sfanc, baselines.gfanc])
def test_every_baseline_is_causal(
    baseline: Callable[[BaselineSignals, TrainedBaselines], Signal],
) -> None:
    trained = baselines.train(dataset.built_in().training, [AcousticPlant(2, RATE)])
    residuals = [
        baseline(baselines.baseline_signals(AcousticPlant(1, RATE), noise.read(5 * RATE)), trained)
        for noise in diverging_noises()
    ]
    assert np.allclose(residuals[0][:SAME], residuals[1][:SAME], rtol=0, atol=1e-9)


@pytest.mark.parametrize("memory_s", redesign.MEMORIES_S.values())
def test_a_repeated_design_is_causal_and_near_the_one_in_hindsight(memory_s: float) -> None:
    change, start = int(QUIET_S * RATE), int(QUIET_S * RATE) + RATE
    first, second = (
        baselines.baseline_signals(AcousticPlant(1, RATE), noise.read(5 * RATE))
        for noise in diverging_noises()
    )
    residuals = [redesign.redesigned(signals, change, start, memory_s) for signals in (first, second)]
    same = SAME - start
    assert np.allclose(residuals[0][:same], residuals[1][:same], rtol=0, atol=1e-9)
    assert not np.allclose(residuals[0][same:], residuals[1][same:], rtol=0, atol=1e-9)
    one_noise = first._replace(x=first.x[:SAME], d=first.d[:SAME], e=first.e[:SAME])
    in_hindsight = redesign.redesign_db(one_noise, change, start)[redesign.HINDSIGHT]
    assert in_hindsight - 2 < attenuation_db(one_noise.d[start:], residuals[0][:same]) < in_hindsight + 0.5


@pytest.mark.parametrize("one_way_s", [0.05, 0.3])
def test_the_first_filter_is_delayed_by_the_network(tmp_path: Path, one_way_s: float) -> None:
    platform, head = SimulatedPlatform(tmp_path), AcousticPlant(1, RATE)
    platform.register("headset", head)
    run = platform.run("headset", head, diverging_noises()[0], 3.0, conditions=NetworkConditions(one_way_s))
    first = first_filter_s(run.played, int(QUIET_S * RATE))
    assert first is not None
    assert 2 * one_way_s + SUDDEN_CHANGE_S < first < 2 * one_way_s + SUDDEN_CHANGE_S + 0.12


def test_training_and_test_clips_have_different_sources(tmp_path: Path) -> None:
    rows = ["path,esc10_class,esc50_class,source_id"]
    noise = np.random.default_rng(0).standard_normal(5 * RATE) / 8
    for k in range(6):
        soundfile.write(tmp_path / f"{k}.wav", noise, RATE)
        rows.append(f"{k}.wav,,Rain,{k // 2}")
    soundfile.write(tmp_path / "dog.wav", noise, RATE)
    (tmp_path / "clips.csv").write_text("\n".join([*rows, "dog.wav,,Dog bark,9"]))
    noises = dataset.recorded(tmp_path)
    assert [clip.name for clip in noises.test] == ["0", "4"]
    assert [clip.name for clip in noises.training] == ["2"]


def test_training_and_test_heads_differ() -> None:
    for family in dataset.families(3):
        test_seeds = [seed for noise in range(20) for seed in family.test_seeds(noise)]
        assert len(set(test_seeds)) == 20 * family.test_heads
        assert not {0, *family.training_heads} & set(test_seeds)


def test_a_folder_without_recordings_is_rejected(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["evaluate", "control", "--data", str(tmp_path)])
    assert answer.exit_code == 2
    assert "clips.csv" in answer.output


def test_the_longest_time_louder_than_without_control_ignores_silence() -> None:
    d = np.concatenate([np.zeros(RATE), 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)])
    residual = 0.5 * d
    assert longest_louder_s(d, residual) == 0
    residual[2 * RATE : 2 * RATE + RATE // 2] = 2 * d[2 * RATE : 2 * RATE + RATE // 2]
    assert longest_louder_s(d, residual) == pytest.approx(0.5, abs=0.08)
    assert longest_louder_s(np.zeros(RATE), np.full(RATE, 1e-5)) == 0


def test_metrics_of_a_known_residual() -> None:
    change = RATE
    d = np.random.default_rng(0).standard_normal(int((1 + PART_S) * RATE))
    residual = d.copy()
    residual[change + RATE // 2 :] *= 0.1
    metrics = measure(d, residual, change)
    assert metrics.settled_db == pytest.approx(20)
    assert metrics.to_90_percent_s == pytest.approx(0.75)  # first window entirely after the step
    assert metrics.trace_db[0] == 0
    assert metrics.trace_db[-1] == pytest.approx(20)
