"""Contract of `anc.ports.Counters`, for DynamoDB and SQLite."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from anc.aws.counters import DynamoCounters
from anc.aws.durations import MAX_RANGES, CloudWatchDurations, metrics
from anc.published_metrics import is_published
from anc.services import platform_metrics
from tests.contract.cloudwatch import CloudWatch
from tests.fakes import Clock

Measured = Callable[[str, float], None]


def test_additions_are_visible_to_all_readers(counters: Any) -> None:
    one, other = counters(), counters()
    one.add("blocks")
    one.add("blocks", 2)
    one.add("sockets")
    assert one.read() == {"blocks": 3, "sockets": 1}
    other.add("blocks")
    assert other.read()["blocks"] == 4
    assert one.read()["blocks"] == 4


def test_initial_totals_are_empty(counters: Any) -> None:
    assert counters().read() == {}


def test_concurrent_additions_are_all_counted(counters: Any) -> None:
    totals = counters()
    threads = [threading.Thread(target=lambda: [totals.add("blocks") for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals.read() == {"blocks": 200}


def test_durations_are_stored_as_a_histogram_with_their_sum(counters: Any) -> None:
    totals = counters()
    for seconds in (0.0004, 0.003, 0.004, 60.0):
        totals.time("block", seconds)
    found = platform_metrics.histogram("block", totals.read())
    assert (found.number, found.counts[0], found.counts[2], found.counts[-1]) == (4, 1, 2, 1)
    assert found.total_s == pytest.approx(60.0074)
    assert found.quantile_s(0.5) == 0.005
    assert found.quantile_s(0.99) is None, "longer than the last bound"


def test_durations_over_time_are_percentiles_of_all_processes_by_interval(
    counters: Any, clock: Clock, measured: Measured
) -> None:
    begun = 500_000.0 * 3600
    for number in range(1, 101):
        clock.now = begun + number % 60
        measured("block", 0.001 * number)
    clock.now = begun + 130
    measured("rest", 0.02)
    measured("snapshot", 0.3)
    measured("emergency_open", 0.3)
    found = counters().durations(begun, begun + 180, 60)
    assert [(each.at - begun, each.name, each.calls) for each in found] == [
        (0, "block", 100),
        (120, "rest", 1),
        (120, "snapshot", 1),
    ]
    block, rest, snapshot = found
    assert (block.p50_s, block.p90_s, block.p99_s) == pytest.approx((0.05, 0.09, 0.099), rel=0.03)
    assert rest[3:] == pytest.approx((0.02, 0.02, 0.02), rel=0.02)
    assert snapshot.p99_s == pytest.approx(0.3, rel=0.02)


def test_intervals_are_as_long_as_requested_and_end_before_the_end(
    counters: Any, clock: Clock, measured: Measured
) -> None:
    begun = 500_000.0 * 3600
    for minute in (0, 59, 60, 119, 120):
        clock.now = begun + 60 * minute
        measured("rest", 0.01)
    found = counters().durations(begun, begun + 7200, 3600)
    assert [(each.at - begun, each.calls) for each in found] == [(0, 2), (3600, 2)]
    assert counters().durations(begun - 7200, begun, 3600) == []


def test_the_metrics_of_durations_are_published() -> None:
    read = metrics()
    assert set(read) == set(platform_metrics.PROCESSING)
    for metric in read.values():
        kind, value = metric.dimension
        assert kind == "FunctionName" or is_published(value, metric.name)


def test_cloudwatch_is_asked_again_after_half_an_interval(cloudwatch: CloudWatch) -> None:
    clock = Clock()
    durations = CloudWatchDurations(lambda: cloudwatch, clock)
    for elapsed in (0, 299, 301):
        clock.now = 1000.0 + elapsed
        durations.between(0.0, 6000.0, 600.0)
    assert cloudwatch.requests == 2
    for begin in range(100):
        durations.between(600.0 * begin, 600.0 * begin + 600, 600.0)
    assert len(durations._answers) == MAX_RANGES


def test_only_published_counters_of_a_function_are_cloudwatch_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "anc_processor")
    totals = DynamoCounters("")
    for name in ("filters_sent", "snapshots_refused_clipped", "endpoint_failed"):
        totals.add(name)  # the last one is published by the classifier only
    totals.time("snapshot", 0.05)
    totals.time("block", 0.003)
    published = set(Metrics().metric_set)
    Metrics().clear_metrics()
    assert published == {"filters_sent", "snapshot"}
