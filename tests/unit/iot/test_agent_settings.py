"""What a headset is told of how to go about it, and what it tells of itself."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from anc.schemas.path import MeasuredPath
from iot.agent import REPORT_S, Agent
from iot.controller import Controller
from iot.store import PathStore
from local.mqtt.shadows import difference
from tests.unit.iot.headset import GOOD, NOWHERE, RATE, SECONDARY, Headset, Line


def telemetry(headset: Headset) -> list[list[dict[str, Any]]]:
    return [json.loads(payload) for topic, payload in headset.line.sent.queue if topic == "anc/h1/telemetry"]


def test_telemetry_says_how_the_headset_is_soon_after_it_was_switched_on_and_then_once_in_five_minutes(
    headset: Headset,
):
    headset.line.come_online()
    headset.level = 0.1
    headset.sound(5.0)
    headset.agent.stop()
    ((first,),) = telemetry(headset)
    assert (first["mode"], first["filters"], first["reverted"]) == ("cancel", 0, 0)
    assert first["level_dbfs"] == pytest.approx(-23, abs=2)


def test_a_path_that_was_measured_is_told_under_one_number_for_good(tmp_path: Path):
    path = PathStore(tmp_path / "path.json")

    def told() -> list[tuple[list[float], int]]:
        """Switch the headset on and off again; return what it tells of its path."""
        agent = Agent(
            "h1",
            NOWHERE,
            Controller(RATE, 64),
            SECONDARY,
            RATE,
            tmp_path,
            None,
            path=path,
            make_transport=Line,
        )
        line: Line = agent._transport  # type: ignore[assignment]
        agent.start()
        line.come_online(reported={"seq": 41})  # from before it forgot everything
        line.come_online()
        agent.stop()
        said = [json.loads(payload) for topic, payload in line.sent.queue if topic == "anc/h1/path"]
        return [(each["secondary"], each["seq"]) for each in said]

    assert told() == []
    path.keep(MeasuredPath([0.0, 0.5], RATE, "probe", 20.0))
    assert told() == [([0.0, 0.5], 42)]
    assert told() == [([0.0, 0.5], 42)]  # it cannot know whether it arrived
    path.keep(MeasuredPath([0.0, 0.4], RATE, "music", 20.0))
    assert told() == [([0.0, 0.4], 43)]


def test_a_headset_goes_about_it_as_configured_also_after_a_power_cycle_and_says_so(tmp_path: Path):
    before = Headset(tmp_path)
    before.line.come_online(desired={"config": {"private": True}})
    before.line.desire(config={"snapshot_interval_s": 5})
    config = {"private": True, "snapshot_interval_s": 5.0}
    before.line.wait_report(config=config)
    before.agent.stop()
    after = Headset(tmp_path)
    after.line.come_online()  # before it has heard anything of what is wanted
    after.level = 0.1
    after.sound(25)
    assert after.line.wait_snapshot().pcm is None
    assert after.line.wait_report(config=config)
    after.agent.stop()
    assert after.agent.status.snapshots >= 6  # at about 0.4, 1, 5, 10, 15 and 20 s


@pytest.mark.parametrize(
    "config", [{"snapshot_interval_s": 4}, {"telemetry_interval_s": 59}, {"private": "yes"}]
)
def test_a_configuration_out_of_bounds_is_refused_and_changes_nothing(headset: Headset, config: Any):
    headset.line.come_online()
    headset.line.desire(config=config, mode="bypass")
    report = headset.line.wait_report(mode="cancel")
    while "config" not in report["refused"]:
        report = headset.line.wait_report(mode="cancel")
    assert report["config"] == {}


def test_what_becomes_of_a_firmware_is_reported_and_the_delta_that_follows_is_understood(tmp_path: Path):
    headset = Headset(tmp_path, firmware="1.0.0")
    firmware = {"version": "0.9.0", "url": "https://x/y", "sha256": "0" * 64, "size": 1}
    desired = {"firmware": firmware, "config": {"private": True, "snapshot_interval_s": 60}}
    headset.line.come_online()
    headset.line.desire(**desired)
    refused = {"version": "0.9.0", "state": "refused", "reason": "version: older than 1.0.0, which runs"}
    reported = headset.line.wait_report(update=refused)
    assert reported["firmware"] == "1.0.0"
    delta = difference({**desired, "mode": "bypass"}, reported)  # what is equal on both sides is left out
    headset.line.desire(**delta)
    assert headset.line.wait_report(mode="bypass")["refused"] == ""
    headset.agent.stop()


def test_what_a_late_copy_of_a_report_puts_into_the_shadow_is_put_right_within_fifteen_seconds(
    headset: Headset,
):
    headset.line.come_online()
    headset.line.desire(mode="bypass")
    headset.line.wait_report(mode="bypass")
    headset.sound(REPORT_S + 1.0)  # and nothing has changed
    assert headset.line.wait_report()["mode"] == "bypass"


def test_no_sound_leaves_a_headset_that_was_off_when_its_owner_chose_privacy(headset: Headset):
    headset.level = 0.1
    headset.line.online.set()  # and the shadow is still on its way
    headset.sound(3.0)
    headset.line.come_online(desired={"config": {"private": True}})
    headset.sound(3.0)
    assert headset.line.wait_snapshot().pcm is None


def test_a_headset_whose_store_is_full_goes_on_and_is_configured_all_the_same(
    headset: Headset, monkeypatch: pytest.MonkeyPatch
):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    headset.line.come_online(desired={"config": {"private": True}})
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.sound(3.0)
    first, second = headset.line.wait_snapshot(), headset.line.wait_snapshot()
    assert (first.seq, second.seq, second.pcm, second.filter_id) == (1, 2, None, played)


def test_a_configuration_that_cannot_be_read_any_more_is_taken_for_a_private_one(tmp_path: Path):
    (tmp_path / "config.json").write_bytes(b'{"private": fal')
    headset = Headset(tmp_path)
    headset.line.come_online()
    headset.level = 0.1
    headset.sound(1.0)
    assert headset.line.wait_snapshot().pcm is None
    headset.agent.stop()
