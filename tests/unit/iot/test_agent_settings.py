"""Configuration, telemetry, measured path, firmware and reports of the headset agent."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from anc.schemas.path import MeasuredPath
from anc.schemas.topics import path_topic, telemetry_topic
from iot.agent import Agent
from iot.controller import Controller
from iot.snapshot_sequence import MAX_UNREPORTED
from iot.state_reporter import REPORT_REFRESH_S, REPORT_SETTLED_S
from iot.store import PathStore
from local.mqtt.shadows import difference
from tests.unit.iot.headset import GOOD, NOWHERE, RATE, SECONDARY, FakeTransport, Headset, filter_document


def telemetry(headset: Headset) -> list[list[dict[str, Any]]]:
    return [
        json.loads(payload)
        for topic, payload in headset.transport.sent.queue
        if topic == telemetry_topic("h1")
    ]


def test_the_first_telemetry_report_is_sent_soon_after_the_start_and_the_next_batch_minutes_later(
    headset: Headset,
):
    headset.transport.connect()
    headset.level = 0.1
    headset.run(5.0)
    headset.agent.stop()
    ((first,),) = telemetry(headset)
    assert (first["mode"], first["filters"], first["reverted"]) == ("cancel", 0, 0)
    assert first["level_dbfs"] == pytest.approx(-23, abs=2)


def test_everything_but_shadow_and_jobs_is_published_to_the_rules_of_the_headsets_environment(tmp_path: Path):
    path = PathStore(tmp_path / "path.json")
    path.save(MeasuredPath([0.0, 0.5], RATE, "probe", 20.0))
    headset = Headset(tmp_path, environment="prod", path=path)
    headset.transport.connect()
    headset.level = 0.1
    headset.run(5.0)
    headset.agent.stop()
    topics = {topic for topic, _ in headset.transport.sent.queue if "$aws/things/" not in topic}
    assert topics == {
        f"$aws/rules/anc_{kind}_prod/anc/h1/{kind}" for kind in ("snapshot", "telemetry", "path")
    }


def test_a_measured_path_is_published_with_the_same_number_after_every_start(tmp_path: Path):
    path = PathStore(tmp_path / "path.json")

    def published() -> list[tuple[list[float], int]]:
        """Start and stop the headset; return the paths that it publishes."""
        agent = Agent(
            "h1",
            NOWHERE,
            Controller(RATE, 64),
            SECONDARY,
            RATE,
            tmp_path,
            None,
            path=path,
            make_transport=FakeTransport,
        )
        transport: FakeTransport = agent._transport  # type: ignore[assignment]
        agent.start()
        transport.connect(reported={"seq": 41})  # its own count was lost
        transport.connect()
        agent.stop()
        sent = transport.sent.queue
        messages = [json.loads(payload) for topic, payload in sent if topic == path_topic("h1")]
        return [(each["secondary"], each["seq"]) for each in messages]

    after_loss = 41 + MAX_UNREPORTED + 1
    assert published() == []
    path.save(MeasuredPath([0.0, 0.5], RATE, "probe", 20.0))
    assert published() == [([0.0, 0.5], after_loss)]
    assert published() == [([0.0, 0.5], after_loss)]  # the first one may not have arrived
    path.save(MeasuredPath([0.0, 0.4], RATE, "music", 20.0))
    assert published() == [([0.0, 0.4], after_loss + 1)]


def test_the_configuration_survives_a_restart_and_is_reported(tmp_path: Path):
    before = Headset(tmp_path)
    before.transport.connect(desired={"config": {"private": True}})
    before.transport.send_delta(config={"snapshot_interval_s": 5})
    config = {"private": True, "snapshot_interval_s": 5.0}
    before.transport.wait_report(config=config)
    before.agent.stop()
    after = Headset(tmp_path)
    after.transport.connect()  # the shadow is empty
    after.level = 0.1
    after.run(20)
    assert after.transport.wait_snapshot().pcm is None
    assert after.transport.wait_report(config=config)
    after.agent.stop()
    assert after.agent.status.snapshots >= 5  # at about 0.4, 1, 3, 8 and 18 s


@pytest.mark.parametrize(
    "config", [{"snapshot_interval_s": 4}, {"telemetry_interval_s": 59}, {"private": "yes"}]
)
def test_an_invalid_configuration_is_refused_and_changes_nothing(headset: Headset, config: Any):
    headset.transport.connect()
    headset.transport.send_delta(config=config, mode="bypass")
    report = headset.transport.wait_report(active_mode="cancel")
    while "config" not in report["refused"]:
        report = headset.transport.wait_report(active_mode="cancel")
    assert report["config"] == {}


def test_the_state_of_a_firmware_update_is_reported_and_the_next_delta_is_accepted(tmp_path: Path):
    headset = Headset(tmp_path, firmware="1.0.0")
    firmware = {"version": "0.9.0", "url": "https://x/y", "sha256": "0" * 64, "size": 1}
    desired = {"firmware": firmware, "config": {"private": True, "snapshot_interval_s": 60}}
    headset.transport.connect()
    headset.transport.send_delta(**desired)
    refused = {
        "version": "0.9.0",
        "state": "refused",
        "reason": "version must be newer than the running version 1.0.0",
    }
    reported = headset.transport.wait_report(update=refused)
    assert (reported["firmware_version"], reported["firmware"]) == ("1.0.0", firmware)
    delta = difference({**desired, "mode": "bypass"}, reported)  # equal fields are omitted
    headset.transport.send_delta(**delta)
    assert headset.transport.wait_report(active_mode="bypass")["refused"] == ""
    headset.agent.stop()


def test_the_report_is_refreshed_so_that_a_late_duplicate_is_overwritten(
    headset: Headset,
):
    headset.transport.connect()
    headset.transport.send_delta(mode="bypass")
    headset.transport.wait_report(active_mode="bypass")
    headset.run(REPORT_SETTLED_S + 1.0)
    assert headset.transport.wait_report()["active_mode"] == "bypass"
    headset.run(20.0)  # without any change
    headset.agent.stop()
    assert headset.transport.sent.empty()
    assert headset.agent._reporter._due > headset.agent._scheduler.elapsed + (REPORT_REFRESH_S - 30) * RATE


def test_no_audio_is_sent_when_privacy_was_turned_on_while_the_headset_was_off(headset: Headset):
    headset.level = 0.1
    headset.transport.online.set()  # the shadow has not arrived yet
    headset.run(3.0)
    headset.transport.connect(desired={"config": {"private": True}})
    headset.run(3.0)
    assert headset.transport.wait_snapshot().pcm is None


def test_a_headset_with_full_storage_still_applies_its_configuration(
    headset: Headset, monkeypatch: pytest.MonkeyPatch
):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    headset.transport.connect(desired={"config": {"private": True}})
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.run(3.0)
    first, second = headset.transport.wait_snapshot(), headset.transport.wait_snapshot()
    assert (first.seq, second.seq, second.pcm, second.filter_id) == (1, 2, None, played)


def test_a_damaged_configuration_turns_privacy_on(tmp_path: Path):
    (tmp_path / "config.json").write_bytes(b'{"private": fal')
    headset = Headset(tmp_path)
    headset.transport.connect()
    headset.level = 0.1
    headset.run(1.0)
    assert headset.transport.wait_snapshot().pcm is None
    headset.agent.stop()


def test_the_delta_is_empty_after_one_report(headset: Headset) -> None:
    document = filter_document(GOOD, 3)
    desired = {
        "mode": "cancel",
        "intensity": 0.5,
        "filter": document,
        "reason": "siren",
        "noise": {"label": "aircraft", "confidence": 0.93},
        "without_control": 2,
        "config": {"private": True},
        "firmware": {"version": "0.9.0", "url": "https://x/y", "sha256": "0" * 64, "size": 1},
    }
    headset.transport.connect()
    headset.transport.send_delta(**desired)
    assert difference(desired, headset.transport.wait_report(filter=document)) == {}


def test_the_delta_is_empty_after_a_refused_filter_and_during_a_local_alarm(headset: Headset) -> None:
    refused = filter_document(GOOD, 3, rate=8_000)
    headset.transport.connect()
    headset.emergency_detector.holding = True
    headset.transport.send_delta(filter=refused, mode="cancel")
    reported = headset.transport.wait_report(filter=refused, active_mode="transparency")
    assert difference({"filter": refused, "mode": "cancel"}, reported) == {}
    assert (reported["active_filter"], "filter.rate" in reported["refused"]) == ("", True)


def test_a_filter_of_which_the_delta_holds_only_the_difference_is_played(headset: Headset) -> None:
    first, second = filter_document(GOOD, 3), filter_document(0.5 * GOOD, 4)
    headset.transport.connect(desired={"filter": first})
    headset.transport.wait_report(active_filter=first["id"])
    headset.transport.send_delta(**difference({"filter": second}, {"filter": first}))
    headset.run(REPORT_SETTLED_S + 0.1)
    assert headset.transport.wait_report(active_filter=second["id"])["filter"] == second


def test_a_delta_that_comes_again_is_answered_with_its_fields(headset: Headset) -> None:
    document = filter_document(GOOD, 3)
    headset.transport.connect(desired={"filter": document})
    headset.transport.wait_report(filter=document)
    headset.transport.reported = {}  # an older report arrived late
    headset.transport.send_delta(filter=document)
    headset.run(REPORT_SETTLED_S + 0.1)
    assert "filter" in headset.transport.wait_report(filter=document)
