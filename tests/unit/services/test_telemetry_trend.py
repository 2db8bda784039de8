"""The trend of a headset's telemetry: exact percentiles of all reports in each interval."""

import json
from typing import Any

import numpy as np
import pytest

from anc.schemas.refusal import Refused
from anc.services.headsets import devices, telemetry, telemetry_trend
from anc.services.headsets.devices import Registration
from anc.services.headsets.telemetry_trend import Trend, trend
from tests.fakes import ALICE, BOB, FakePlatform

THING = "left"
MINUTE = 60.0


@pytest.fixture
def headset(platform: FakePlatform) -> FakePlatform:
    devices.register(Registration(THING, [0.0, 0.5]), ALICE, platform.deps)
    return platform


def report(platform: FakePlatform, *reports: dict[str, Any]) -> None:
    telemetry.store(THING, json.dumps(reports).encode(), platform.clock.now, platform.deps)


def last_hour(platform: FakePlatform, intervals: int = 6) -> Trend:
    now = platform.clock.now
    return trend(THING, ALICE, platform.deps, now - 60 * MINUTE, now, intervals)


def test_each_interval_has_the_percentiles_of_all_of_its_reports(headset: FakePlatform) -> None:
    values = np.random.default_rng(1).normal(15, 4, 60).round(2)
    for batch in np.split(values, 6):
        headset.clock.now += 10 * MINUTE
        ages = [(9 - k) * MINUTE + 30 for k in range(10)]
        report(headset, *({"attenuation_db": a, "age_s": s} for a, s in zip(batch, ages, strict=True)))
    found = last_hour(headset).intervals
    assert [each.reports for each in found] == [10] * 6
    for interval, batch in zip(found, np.split(values, 6), strict=True):
        expected = np.percentile(batch, [10, 50, 90])
        named = (interval.attenuation_p10_db, interval.attenuation_median_db, interval.attenuation_p90_db)
        assert named == pytest.approx(expected, abs=0.006)


def test_values_that_were_not_reported_are_left_out_and_the_lowest_battery_is_kept(
    headset: FakePlatform,
) -> None:
    headset.clock.now += 60 * MINUTE
    report(headset, {"battery": 0.5, "age_s": 20}, {"battery": 0.4, "age_s": 10}, {"level_dbfs": -30})
    headset.clock.now += 1
    (found,) = last_hour(headset).intervals
    assert (found.reports, found.battery, found.level_median_dbfs) == (3, 0.4, -30)
    assert found.attenuation_median_db is None


def test_an_interval_without_a_report_is_left_out(headset: FakePlatform) -> None:
    report(headset, {"attenuation_db": 10.0})
    headset.clock.now += 45 * MINUTE
    report(headset, {"attenuation_db": 20.0})
    headset.clock.now += 1
    assert [each.attenuation_median_db for each in last_hour(headset).intervals] == [10, 20]


def test_reports_that_arrive_late_count_where_they_were_measured(headset: FakePlatform) -> None:
    headset.clock.now += 3600 * 24
    report(headset, {"attenuation_db": 10.0, "age_s": 5 * 3600.0}, {"attenuation_db": 20.0})
    at = headset.clock.now - 5 * 3600.0
    (found,) = trend(THING, ALICE, headset.deps, at - 60, at + 60, 1).intervals
    assert (found.reports, found.attenuation_median_db) == (1, 10)


def test_of_too_many_messages_the_latest_are_read_and_the_answer_says_since_when(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry_trend, "MAX_RECORDS", 3)
    begun = headset.clock.now
    for k in range(5):
        report(headset, {"attenuation_db": float(k)})
        headset.clock.now += 10 * MINUTE
    found = trend(THING, ALICE, headset.deps, begun, None, 50)
    assert [each.attenuation_median_db for each in found.intervals] == [2, 3, 4]
    assert found.complete_since == begun + 10 * MINUTE
    monkeypatch.undo()
    assert trend(THING, ALICE, headset.deps, begun, None, 50).complete_since == begun


def test_only_the_owner_sees_the_trend_and_its_range_must_be_a_range(headset: FakePlatform) -> None:
    now = headset.clock.now
    with pytest.raises(Refused, match=THING):
        trend(THING, BOB, headset.deps, now - 60, now, 1)
    with pytest.raises(Refused, match="must be after since"):
        trend(THING, ALICE, headset.deps, now, now - 1, 1)
    with pytest.raises(Refused, match="must be after since"):
        trend(THING, ALICE, headset.deps, now - 4e7, now - 3e7, 1)
