"""The history of durations: percentiles within 2 %, by minute for two days and by hour for a month."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anc.ports import Dependencies
from anc.schemas.refusal import Refused
from anc.services.duration_history import HOUR_S, bucket_of, performance_history, quantile_s
from local.storage.counters import SqliteCounters
from local.storage.database import Database
from tests.fakes import Clock

DAY_S = 86_400.0


@pytest.fixture
def counters(tmp_path: Path, clock: Clock) -> SqliteCounters:
    return SqliteCounters(Database(tmp_path / "anc.db"), clock)


@pytest.fixture
def stored(deps: Dependencies, counters: SqliteCounters) -> Dependencies:
    return replace(deps, counters=counters)


@pytest.mark.parametrize("q", [0.0, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_quantile_is_within_two_percent_of_that_of_the_durations(q: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    durations = np.exp(random.normal(random.uniform(-9, 1), random.uniform(0.01, 2), 1000))
    found = quantile_s(Counter(map(bucket_of, durations)), q)
    assert found == pytest.approx(np.quantile(durations, q, method="lower"), rel=0.02)


def test_each_interval_has_its_calls_by_operation(
    stored: Dependencies, counters: SqliteCounters, clock: Clock
) -> None:
    begun = clock.now = 1_800_000_000.0
    for minute in range(4):
        clock.now = begun + 60 * minute
        for _ in range(minute):
            counters.time("block", 0.01 * minute)
        counters.time("rest", 0.002)
    found = performance_history(stored, begun, begun + 240, 2)
    assert [each.at for each in found.intervals] == [begun, begun + 120]
    first, second = (each.operations for each in found.intervals)
    assert (first["block"].calls, second["block"].calls) == (1, 5)
    assert (first["rest"].calls, second["rest"].calls) == (2, 2)
    assert first["block"].p50_ms == pytest.approx(10, rel=0.02)
    assert second["block"].p99_ms == pytest.approx(30, rel=0.02)
    assert "snapshot" not in first


def test_old_minutes_are_added_up_to_hours_and_deleted_after_a_month(
    stored: Dependencies, counters: SqliteCounters, clock: Clock
) -> None:
    begun = clock.now = 500_000.0 * HOUR_S
    for minute in range(120):
        clock.now = begun + 60 * minute
        counters.time("block", 0.01)
    clock.now = begun + 4 * DAY_S
    counters.time("rest", 0.002)
    found = counters.durations(begun, begun + DAY_S, HOUR_S)
    assert [(each.at, each.calls) for each in found] == [(begun, 60), (begun + HOUR_S, 60)]
    clock.now = begun + 5 * DAY_S
    counters.time("rest", 0.002)
    assert counters.durations(begun, begun + DAY_S, HOUR_S) == found, "hours are not added up again"
    clock.now = begun + 31 * DAY_S
    counters.time("rest", 0.002)
    assert counters.durations(begun, begun + DAY_S, HOUR_S) == []


def test_a_range_must_be_a_range(stored: Dependencies, clock: Clock) -> None:
    with pytest.raises(Refused, match="must be after since"):
        performance_history(stored, clock.now, clock.now - 1, 10)


def test_intervals_are_whole_minutes_or_hours_and_cover_the_range(stored: Dependencies, clock: Clock) -> None:
    now = clock.now = 500_000.0 * HOUR_S + 7
    recent = performance_history(stored, now - HOUR_S, None, 50)
    assert (recent.since, recent.until, recent.step_s) == (now - 7 - HOUR_S, now - 7 + 120, 120)
    old = performance_history(stored, now - 3 * DAY_S, now - 2 * DAY_S, 500)
    assert old.step_s == HOUR_S
    assert (old.since % HOUR_S, old.until % HOUR_S) == (0, 0)
    assert old.since <= now - 3 * DAY_S < old.since + HOUR_S
    long_ago = performance_history(stored, 0.0, None, 1)
    assert long_ago.since <= now - 30 * DAY_S
    assert long_ago.until >= now


def test_a_flush_in_the_middle_of_a_call_loses_no_duration(
    counters: SqliteCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = counters._add

    def flush_and_add(amounts: Mapping[str, float]) -> None:
        counters.flush()
        add(amounts)

    monkeypatch.setattr(counters, "_add", flush_and_add)
    counters.time("rest", 0.01)

    (found,) = counters.durations(0.0, 4e9, 4e9)
    assert found.calls == 1
