"""Filters on the headset: installation, validation, reverting, and transparency in an emergency."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from anc.schemas.shadow import FilterDocument
from iot.state_reporter import REPORT_SETTLED_S
from tests.unit.iot.headset import GOOD, PREFIX, RATE, Headset, filter_document


def test_a_filter_that_helps_keeps_playing_and_its_attenuation_is_reported(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.run(20)
    headset.agent.stop()
    status = headset.agent.status
    assert (status.filter_id, status.reverted, status.filters) == (played, 0, 1)
    assert status.attenuation_db > 8
    assert any(
        json.loads(payload)["state"]["reported"]["attenuation_db"]
        for topic, payload in headset.transport.sent.queue
        if topic == PREFIX + "update"
    )


def test_a_harmful_filter_is_reverted_within_half_a_second(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    bad = headset.play(-GOOD, seq=1)
    headset.run(0.05 + 0.25 + 0.05)
    report = headset.transport.wait_report(reverted=1)
    assert report["active_filter"] == ""
    headset.transport.send_delta(filter=filter_document(-GOOD, seq=1))  # the cloud does not know it yet
    headset.transport.send_delta(filter=filter_document(-GOOD, seq=2))
    headset.run(1.0)
    headset.agent.stop()
    assert headset.controller.active.filter_id != bad
    assert headset.agent.status.filter_id == ""


def test_a_worse_filter_is_replaced_by_the_previous_one(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    good = headset.play(GOOD, seq=1)
    headset.run(1.0)
    headset.play(0.4 * GOOD, seq=2)
    headset.run(0.5)
    assert headset.transport.wait_report(reverted=1)["active_filter"] == good


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"sha256": "0" * 64}, "damaged"),
        ({"rate": 48_000}, "filter.rate must be 16000 Hz on this headset (got 48000)"),
        ({"taps": 4}, "for 4 taps"),
        ({"data": "????"}, "must be base64"),
    ],
)
def test_an_invalid_filter_is_refused_with_the_reason(headset: Headset, fault: dict[str, Any], reason: str):
    headset.transport.connect()
    headset.transport.send_delta(filter={**filter_document(GOOD, seq=1), **fault})
    while reason not in headset.transport.wait_report()["refused"]:
        pass
    headset.run(0.2)
    assert headset.controller.active.filter_id == ""


def test_a_filter_with_a_nan_is_refused(headset: Headset):
    headset.transport.connect()
    broken = msgspec.to_builtins(FilterDocument.of(np.array([0.5, np.nan], "<f2").tobytes(), 1, RATE))
    headset.transport.send_delta(filter=broken)
    while "not finite" not in headset.transport.wait_report()["refused"]:
        pass


def test_a_filter_longer_than_the_limit_is_refused(headset: Headset):
    headset.transport.connect()
    headset.transport.send_delta(filter=filter_document(np.ones(65) / 65, seq=1))
    while "filter.taps must be at most 64" not in headset.transport.wait_report()["refused"]:
        pass


def test_an_older_filter_after_a_newer_one_is_ignored(headset: Headset):
    headset.transport.connect()
    newer = headset.play(GOOD, seq=7)
    headset.transport.send_delta(filter=filter_document(0.9 * GOOD, seq=6))
    headset.transport.send_delta(intensity=0.5)
    assert headset.transport.wait_report(intensity=0.5)["active_filter"] == newer
    assert headset.agent.status.filters == 1


def test_a_repeated_delta_causes_no_cross_fade(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.run(0.5)
    for _ in range(3):
        headset.transport.send_delta(filter=filter_document(GOOD, seq=1))
    headset.agent.stop()  # after processing all of them
    headset.run(0.016)
    assert headset.controller.steady


def test_the_filter_in_the_shadow_is_played_after_a_reconnect(headset: Headset):
    document = filter_document(GOOD, seq=3)
    headset.transport.connect(desired={"mode": "cancel", "intensity": 0.5, "filter": document})
    assert headset.transport.wait_report(active_filter=document["id"])["intensity"] == 0.5


def test_a_start_without_a_network_plays_the_last_effective_filter(tmp_path: Path):
    before = Headset(tmp_path)
    before.transport.connect()
    before.level = 0.1
    good = before.play(GOOD, seq=4)
    before.run(2.0)
    bad = before.play(-GOOD, seq=5)
    before.run(2.0)
    before.agent.stop()
    after = Headset(tmp_path)
    assert (after.agent.status.filter_id, after.agent.status.filters) == (good, 1)
    assert good != bad
    after.transport.connect(desired={"filter": filter_document(0.9 * GOOD, seq=6)})
    newest = filter_document(0.9 * GOOD, seq=6)["id"]
    after.transport.wait_report(active_filter=newest)
    after.agent.stop()


def test_the_filters_of_five_seconds_are_reported_once_with_their_attenuation(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.run(REPORT_SETTLED_S + 0.1)  # after the report at power-on and its refresh
    for seq, gain in ((1, 0.8), (2, 0.9), (3, 1.0)):
        headset.play(gain * GOOD, seq)
        headset.run(1.0)
    headset.run(3.0)
    headset.agent.stop()
    reports = [
        json.loads(message)["state"]["reported"]
        for topic, message in headset.transport.sent.queue
        if topic == PREFIX + "update"
    ]
    (report,) = [report for report in reports if report.get("filter")]
    newest = filter_document(GOOD, 3)
    assert (report["filter"], report["active_filter"]) == (newest, newest["id"])
    assert report["attenuation_db"] > 8


def test_a_filter_is_reported_at_the_latest_when_the_headset_is_switched_off(headset: Headset):
    headset.transport.connect()
    headset.transport.wait_report()
    played = headset.play(GOOD, seq=1)
    headset.agent.stop()
    assert headset.transport.wait_report()["active_filter"] == played


@pytest.mark.parametrize("mode", ["transparency", "bypass"])
def test_no_anti_noise_is_played_in_another_mode(headset: Headset, mode: str):
    headset.transport.connect()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.transport.send_delta(mode=mode)
    headset.transport.wait_report(active_mode=mode)
    headset.run(0.2)
    assert headset.controller.active.gain == 0
    headset.transport.send_delta(mode="cancel")
    assert headset.transport.wait_report(active_mode="cancel")["active_filter"] == played


def test_an_emergency_opens_the_headset_without_a_network(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.run(0.5)
    headset.transport.online.clear()
    headset.emergency_detector.holding = True
    headset.run(0.016)
    headset.transport.online.set()
    headset.run(0.016)
    headset.transport.wait_report(active_mode="transparency")
    headset.run(0.2)
    assert headset.controller.active.gain == 0
    headset.emergency_detector.holding = False
    headset.run(0.016)
    assert headset.transport.wait_report(active_mode="cancel")["active_filter"] == played


def test_a_headset_with_a_failed_detector_stays_open_and_reports_why(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.emergency_detector.failing = True
    headset.run(0.016)
    assert (
        "the detector raised an error" in headset.transport.wait_report(active_mode="transparency")["refused"]
    )
    headset.transport.send_delta(filter=filter_document(GOOD, seq=1), mode="cancel")
    headset.run(0.5)
    headset.agent.stop()
    assert headset.controller.active.gain == 0


@pytest.mark.parametrize("level", [np.nan, np.inf, 1e30])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_invalid_microphone_samples_open_the_headset_and_are_reported(headset: Headset, level: float):
    headset.transport.connect()
    headset.level = level
    headset.run(0.1)
    refused = headset.transport.wait_report(active_mode="transparency")["refused"]
    assert "a microphone delivers invalid samples" in refused
    headset.level = 0.1
    headset.run(1.5)
    headset.transport.send_delta(intensity=0.5)
    assert headset.transport.wait_report(intensity=0.5)["refused"] == refused
    headset.agent.stop()


def test_an_alarm_on_the_headset_sends_a_snapshot_at_once(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.run(10)
    headset.transport.send_delta(intensity=0.5)
    headset.transport.wait_report(intensity=0.5)  # all that was sent before has been read
    headset.emergency_detector.holding = True
    headset.run(0.4)
    assert headset.transport.wait_snapshot().samples == RATE // 4
