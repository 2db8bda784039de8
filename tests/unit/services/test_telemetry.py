"""Telemetry: stored, thinned out, expired after a month, and visible to the owner only."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc.headset_records import Device, ReceivedReports, Telemetry
from anc.schemas.refusal import Refused
from anc.services.headsets import devices, telemetry
from anc.services.headsets.devices import Registration
from iot.telemetry_buffer import BATCH_SIZE
from tests.fakes import ALICE, BOB, FakePlatform
from tools.cost.metering import KB, item_bytes

THING = "left"


@pytest.fixture
def headset(platform: FakePlatform) -> FakePlatform:
    devices.register(Registration(THING, [0.0, 0.5]), ALICE, platform.deps)
    return platform


def say(platform: FakePlatform, *reports: dict[str, Any]) -> None:
    telemetry.store(
        THING,
        json.dumps(reports[0] if len(reports) == 1 else reports).encode(),
        platform.clock.now,
        platform.deps,
    )


def registered(platform: FakePlatform) -> Device:
    device = platform.deps.devices.get(THING)
    assert device is not None
    return device


def batteries(platform: FakePlatform, **page: Any) -> list[float | None]:
    reports = telemetry.history(THING, ALICE, platform.deps, **page)
    return [telemetry.report_of(each).battery for each in reports]


def test_a_report_over_mqtt_is_stored_as_the_latest_and_in_the_history(headset: FakePlatform) -> None:
    for battery in (0.9, 0.8, 0.7):
        headset.clock.now += 60
        say(headset, {"battery": battery})
    at, last = telemetry.latest(THING, ALICE, headset.deps)
    assert (at, last.battery) == (headset.clock.now, 0.7)
    assert batteries(headset) == [0.9, 0.8, 0.7]


def test_the_history_is_paginated_and_starts_at_a_time(headset: FakePlatform) -> None:
    start = headset.clock.now
    for step in range(6):
        headset.clock.now = start + 60 * step
        say(headset, {"battery": step / 10})
    first = telemetry.history(THING, ALICE, headset.deps, limit=2)
    assert batteries(headset, limit=2, after=first[-1].key) == [0.2, 0.3]
    assert batteries(headset, since=start + 240) == [0.4, 0.5]


def test_a_batch_is_stored_in_the_order_of_its_ages(headset: FakePlatform) -> None:
    headset.clock.now += 1000
    say(headset, {"battery": 0.5}, {"battery": 0.7, "age_s": 120}, {"battery": 0.6, "age_s": 60})
    assert batteries(headset) == [0.7, 0.6, 0.5]
    assert telemetry.latest(THING, ALICE, headset.deps)[1].battery == 0.5


def test_a_batch_is_one_record_of_the_history_and_is_read_report_by_report(headset: FakePlatform) -> None:
    headset.clock.now += 1000
    start = headset.clock.now
    for _ in range(2):
        headset.clock.now += 300
        say(headset, *({"battery": age / 1000, "age_s": age} for age in range(0, 300, 60)))
    assert len(headset.deps.history.list(telemetry._group(registered(headset)))) == 2
    expected = 2 * [0.24, 0.18, 0.12, 0.06, 0.0]
    assert batteries(headset) == expected
    assert batteries(headset, since=start + 300) == expected[4:]
    pages, after = [], ""
    while page := telemetry.history(THING, ALICE, headset.deps, limit=3, after=after):
        pages += [telemetry.report_of(each).battery for each in page]
        after = page[-1].key
    assert pages == expected


def test_a_usual_batch_takes_one_write_unit_of_the_history(headset: FakePlatform) -> None:
    headset.clock.now += 1000
    levels, attenuations = (
        np.random.default_rng(0).normal([[-31], [13]], 4, (2, BATCH_SIZE)).round(1).tolist()
    )
    entry = {"mode": "cancel", "firmware": "1.4.2", "filters": 1200, "reverted": 0, "run": 2**31}
    say(
        headset,
        *(
            entry | {"level_dbfs": level, "attenuation_db": attenuation, "age_s": 60.0 * k, "line": 1000 - k}
            for k, (level, attenuation) in enumerate(zip(levels, attenuations, strict=True))
        ),
    )
    (record,) = headset.deps.history.list(telemetry._group(registered(headset)))
    assert item_bytes(record) < KB
    assert len(telemetry.history(THING, ALICE, headset.deps)) == BATCH_SIZE


def test_a_record_of_earlier_versions_is_read_report_by_report(headset: FakePlatform) -> None:
    device, at = registered(headset), headset.clock.now
    report = json.dumps([{"battery": 0.6, "age_s": 60.0}, {"battery": 0.5}]).encode()
    key, group = telemetry._entry(device, at), telemetry._group(device)
    headset.deps.history.put(Telemetry(key=key, group=group, at=at, expires=at + 1e6, report=report))
    assert batteries(headset) == [0.6, 0.5]


def test_a_repeated_report_changes_nothing(headset: FakePlatform) -> None:
    headset.clock.now += 1000
    for _ in range(2):
        say(headset, {"battery": 0.5, "reverted": 3}, {"battery": 0.7, "age_s": 120, "reverted": 1})
    assert batteries(headset) == [0.7, 0.5]
    assert headset.counts["filters_reverted"] == 3


def test_a_report_repeated_much_later_is_not_stored_again(headset: FakePlatform) -> None:
    batch = [{"battery": 0.7, "age_s": 60, "run": 9, "line": 0}, {"battery": 0.5, "run": 9, "line": 1}]
    for _ in range(3):
        headset.clock.now += 1000
        say(headset, *batch)
    assert batteries(headset) == [0.7, 0.5]
    assert telemetry.latest(THING, ALICE, headset.deps)[0] == headset.clock.now - 2000


def test_a_late_report_is_stored_once(headset: FakePlatform) -> None:
    headset.clock.now += 1000
    say(headset, {"battery": 0.5, "run": 9, "line": 5})
    for later in (0, 100):
        headset.clock.now += later
        say(headset, {"battery": 0.7, "age_s": 120, "run": 9, "line": 3})
    assert batteries(headset) == [0.7, 0.5]
    assert telemetry.latest(THING, ALICE, headset.deps)[1].battery == 0.5


def test_after_a_restart_reports_are_accepted_from_the_first_line(
    headset: FakePlatform,
) -> None:
    for run, battery in ((9, 0.5), (7, 0.9)):
        headset.clock.now += 60
        say(headset, {"battery": battery, "run": run, "line": 0})
    assert batteries(headset) == [0.5, 0.9]


@given(
    order=st.lists(st.integers(0, 60), max_size=40),
    ahead=st.integers(1, 2**31),
)
def test_each_line_is_accepted_once_in_any_order(order: list[int], ahead: int) -> None:
    taken, lines = ReceivedReports(1, 0), {0}
    for line in order:
        assert taken.holds(1, line) == (line in lines)
        if line not in lines:
            taken, lines = taken.adding(1, line), lines | {line}
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(taken), type=ReceivedReports) == taken
    far = taken.adding(1, taken.newest + ahead)
    assert far.holds(1, far.newest)
    assert not far.holds(1, far.newest + 1)
    assert not far.holds(2, 0)


def test_the_history_keeps_at_most_one_report_every_five_seconds(headset: FakePlatform) -> None:
    for tenth in range(200):
        headset.clock.now += 0.1
        say(headset, {"battery": tenth / 1000})
    assert len(batteries(headset)) <= 5
    assert telemetry.latest(THING, ALICE, headset.deps)[1].battery == 0.199


def test_reports_expire_after_a_month(headset: FakePlatform) -> None:
    say(headset, {"battery": 0.5})
    headset.clock.now += telemetry.HISTORY_S + 1
    assert batteries(headset) == []


def test_reverted_filters_are_counted_across_restarts(headset: FakePlatform) -> None:
    for reverted in (0, 2, 2, 3, 0, 1):
        headset.clock.now += 60
        say(headset, {"reverted": reverted})
    assert headset.counts["filters_reverted"] == 4


def test_other_users_cannot_read_telemetry(headset: FakePlatform) -> None:
    say(headset, {"battery": 0.5})
    for read in (telemetry.latest, telemetry.history):
        with pytest.raises(Refused, match="not registered"):
            read(THING, BOB, headset.deps)


def test_the_next_owner_of_a_name_cannot_read_earlier_telemetry(headset: FakePlatform) -> None:
    say(headset, {"battery": 0.5})
    devices.remove(THING, ALICE, headset.deps)
    headset.clock.now += 1
    devices.register(Registration(THING, [0.0, 0.5]), BOB, headset.deps)
    assert telemetry.history(THING, BOB, headset.deps) == []
    assert telemetry.latest(THING, BOB, headset.deps)[0] is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not a JSON document"),
        (b'{"battery": 2}', "battery"),
        (b'{"battery": NaN}', "not a JSON document"),
        (b'{"where": "here"}', "where"),
        (b'[{"age_s": -1}]', "age_s"),
        (b"[" + b"{}," * 64 + b"{}]", "at most 64 reports"),
        (b" " * 20_000, "at most 16,384"),
    ],
)
def test_invalid_telemetry_is_refused_with_a_reason(
    headset: FakePlatform, payload: bytes, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        telemetry.store(THING, payload, headset.clock.now, headset.deps)
    assert batteries(headset) == []


def test_telemetry_of_an_unregistered_headset_is_refused(headset: FakePlatform) -> None:
    with pytest.raises(Refused, match="stranger is not registered"):
        telemetry.store("stranger", b"{}", headset.clock.now, headset.deps)
