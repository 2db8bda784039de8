"""The load benchmark, with a few users for a few seconds: nothing is lost, and every part has figures."""

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load import __main__ as load
from benchmarks.load import report
from benchmarks.load.costs import Line
from benchmarks.load.headset_day import HeadsetDay
from benchmarks.load.plan import Plan, Window, by_minute_ms
from benchmarks.load.run import run
from benchmarks.processes import platform_running
from tools.cost.estimate import read_measurements

pytestmark = pytest.mark.thorough

FEW = Plan(
    seconds=3.0,
    warm_up_s=1.0,
    sockets=4,
    streams_16=1,
    streams_48=1,
    visits_per_hour=36_000.0,
    visit_s=0.5,
    headsets=3,
    calls_per_s=8.0,
)


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    with platform_running() as server:
        return run(server, FEW)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_small_load_loses_nothing_and_measures_every_part(result: dict[str, Any]) -> None:
    assert load.losses(result) == []
    for stream in result["streams"]["formats"]:
        assert stream["answered"] > 0
    assert result["users"]["sockets"] == 2
    assert result["users"]["visits"] > 0
    assert result["calls"]["latency_ms"]["number"] == FEW.calls_per_s * FEW.seconds
    platform = result["platform"]
    assert platform["cores"] > 0
    assert set(platform["generator_cores"]) == {"headsets", "streams", "users", "calls"}
    assert platform["memory_mb"]["max"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_report_has_a_row_for_every_part_and_the_figures_are_drawn(
    result: dict[str, Any], tmp_path: Path
) -> None:
    text = report.load_text(result)
    for part in ("16 kHz", "48 kHz", "open consoles", "short sessions", "headsets", "REST"):
        assert part in text
    report.plot_load(result, tmp_path / "load.svg")
    point = {"other_cores": 0.0, "cores": 0.1, "memory_mb": 100.0}
    points = [point | {"number": n} for n in (0, 10)]
    line = Line(0.1, 0.01, 1.0)._asdict()
    costs = {"headsets": {"unit": "headset", "points": points, "cores": line, "memory_mb": line}}
    assert "| headset (headsets) | 10.000 | 100 |" in report.costs_text(costs)
    report.plot_costs(costs, tmp_path / "costs.svg")
    assert {path.name for path in tmp_path.iterdir()} == {"load.svg", "costs.svg"}


def test_what_is_lost_is_named() -> None:
    result = {
        "headsets": {"lost": 2, "filters_missed": 0, "connections_lost": 1},
        "users": {"closed": 0},
        "calls": {"failed": {"503": 3}},
        "streams": {"formats": [{"broken": ["closed"]}]},
    }
    assert load.losses(result) == ["2 snapshots", "1 connections of headsets", "3 calls", "1 streams"]


def test_the_script_sends_as_many_snapshots_as_the_agent_was_measured_to_send() -> None:
    measured = read_measurements().now.per_hour["snapshots"]
    days, sent = [HeadsetDay(seed) for seed in range(24)], 0
    for day in days:
        passed = 0.0
        while passed < 3600:
            passed += (step := day.next_step_s())
            if samples := day.step(step):
                new = day.new_noise
                day.mark_sent(samples)
                sent += 1
                if new and not day.new_noise:
                    day.mark_filter()
    assert 0.7 * measured < sent / len(days) < 1.5 * measured


def test_a_line_through_points_finds_what_each_one_costs() -> None:
    line = Line.through([0, 1, 2, 4], [5.0, 7.0, 9.0, 13.0])
    assert line == pytest.approx((5.0, 2.0, 1.0))


def test_latencies_are_grouped_by_the_minute_of_the_window() -> None:
    window = Window(0.0, 100.0, 220.0)
    assert by_minute_ms([(101.0, 0.001), (159.0, 0.001), (161.0, 0.002)], window) == [1.0, 2.0]


def test_options_change_the_plan() -> None:
    chosen: argparse.Namespace = load.options().parse_args(["--minutes", "2", "--headsets", "5"])
    plan = load.plan_of(chosen)
    assert (plan.seconds, plan.headsets, plan.sockets) == (120.0, 5, 1000)
