"""Contract of `anc.ports.Counters`, for DynamoDB and SQLite."""

import threading
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from anc.aws.counters import DynamoCounters
from anc.services import platform_metrics


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


def test_durations_over_time_are_those_of_all_processes_or_not_kept(counters: Any) -> None:
    one, other = counters(), counters()
    for totals in (one, other):
        totals.time("block", 0.003)
        totals.time("emergency_open", 0.3)
        totals.read()
    found = other.durations(0.0, 4e9)
    if isinstance(one, DynamoCounters):
        assert found is None
    else:
        assert sum(each.number for each in found) == 2
        assert {each.name for each in found} == {"block"}


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
