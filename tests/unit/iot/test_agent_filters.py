"""What a headset plays: filters that help and are what they say, and none while an alarm sounds."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from anc.schemas.shadow import FilterDocument
from tests.unit.iot.headset import GOOD, PREFIX, RATE, Headset, filter_document


def test_a_filter_that_helps_keeps_playing_and_its_attenuation_is_reported(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.sound(20)
    headset.agent.stop()
    status = headset.agent.status
    assert (status.filter_id, status.reverted, status.filters) == (played, 0, 1)
    assert status.attenuation_db > 8
    assert any(
        json.loads(payload)["state"]["reported"]["attenuation_db"]
        for topic, payload in headset.line.sent.queue
        if topic == PREFIX + "update"
    )


def test_a_filter_that_makes_things_worse_is_reverted_within_half_a_second(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    bad = headset.play(-GOOD, seq=1)
    headset.sound(0.05 + 0.25 + 0.05)
    report = headset.line.wait_report(reverted=1)
    assert report["filter"] == ""
    headset.line.desire(filter=filter_document(-GOOD, seq=1))  # the cloud has not yet noticed
    headset.line.desire(filter=filter_document(-GOOD, seq=2))
    headset.sound(1.0)
    headset.agent.stop()
    assert headset.controller.active.filter_id != bad
    assert headset.agent.status.filter_id == ""


def test_a_worse_filter_gives_way_to_the_one_before(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    good = headset.play(GOOD, seq=1)
    headset.sound(1.0)
    headset.play(0.4 * GOOD, seq=2)
    headset.sound(0.5)
    assert headset.line.wait_report(reverted=1)["filter"] == good


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"sha256": "0" * 64}, "damaged"),
        ({"rate": 48_000}, "48000 Hz, this headset runs at 16000"),
        ({"taps": 4}, "make 4 taps"),
        ({"data": "????"}, "not base64"),
    ],
)
def test_a_filter_that_is_not_what_it_says_is_refused_with_the_reason(
    headset: Headset, fault: dict[str, Any], reason: str
):
    headset.line.come_online()
    headset.line.desire(filter={**filter_document(GOOD, seq=1), **fault})
    while reason not in headset.line.wait_report()["refused"]:
        pass
    headset.sound(0.2)
    assert headset.controller.active.filter_id == ""


def test_a_filter_with_a_value_that_is_no_number_is_refused(headset: Headset):
    headset.line.come_online()
    broken = msgspec.to_builtins(FilterDocument.of(np.array([0.5, np.nan], "<f2").tobytes(), 1, RATE))
    headset.line.desire(filter=broken)
    while "not finite" not in headset.line.wait_report()["refused"]:
        pass


def test_a_filter_longer_than_the_headset_takes_is_refused(headset: Headset):
    headset.line.come_online()
    headset.line.desire(filter=filter_document(np.ones(65) / 65, seq=1))
    while "65, this headset takes 64" not in headset.line.wait_report()["refused"]:
        pass


def test_an_older_filter_after_a_newer_one_is_ignored(headset: Headset):
    headset.line.come_online()
    newer = headset.play(GOOD, seq=7)
    headset.line.desire(filter=filter_document(0.9 * GOOD, seq=6))
    headset.line.desire(intensity=0.5)
    assert headset.line.wait_report(intensity=0.5)["filter"] == newer
    assert headset.agent.status.filters == 1


def test_a_delta_that_comes_again_fades_nothing(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.sound(0.5)
    for _ in range(3):
        headset.line.desire(filter=filter_document(GOOD, seq=1))
    headset.agent.stop()  # and so has seen them all
    headset.sound(0.016)
    assert headset.controller.steady


def test_the_filter_in_the_shadow_is_played_when_the_headset_comes_back(headset: Headset):
    document = filter_document(GOOD, seq=3)
    headset.line.come_online(desired={"mode": "cancel", "intensity": 0.5, "filter": document})
    assert headset.line.wait_report(filter=document["id"])["intensity"] == 0.5


def test_a_start_without_a_network_plays_the_last_filter_that_was_measured_to_help(tmp_path: Path):
    before = Headset(tmp_path)
    before.line.come_online()
    before.level = 0.1
    good = before.play(GOOD, seq=4)
    before.sound(2.0)
    bad = before.play(-GOOD, seq=5)
    before.sound(2.0)
    before.agent.stop()
    after = Headset(tmp_path)
    assert (after.agent.status.filter_id, after.agent.status.filters) == (good, 1)
    assert good != bad
    after.line.come_online(desired={"filter": filter_document(0.9 * GOOD, seq=6)})
    newest = filter_document(0.9 * GOOD, seq=6)["id"]
    after.line.wait_report(filter=newest)
    after.agent.stop()


@pytest.mark.parametrize("mode", ["transparency", "bypass"])
def test_no_anti_noise_is_played_in_another_mode(headset: Headset, mode: str):
    headset.line.come_online()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.line.desire(mode=mode)
    headset.line.wait_report(mode=mode)
    headset.sound(0.2)
    assert headset.controller.active.gain == 0
    headset.line.desire(mode="cancel")
    assert headset.line.wait_report(mode="cancel")["filter"] == played


def test_an_alarm_opens_the_headset_without_asking_anybody(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.sound(0.5)
    headset.line.online.clear()  # nobody could be asked
    headset.emergency_detector.holding = True
    headset.sound(0.016)
    headset.line.online.set()
    headset.sound(0.016)
    headset.line.wait_report(mode="transparency")
    headset.sound(0.2)
    assert headset.controller.active.gain == 0
    headset.emergency_detector.holding = False
    headset.sound(0.016)
    assert headset.line.wait_report(mode="cancel")["filter"] == played


def test_a_headset_that_cannot_hear_alarms_stays_open_and_says_why(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.emergency_detector.broken = True
    headset.sound(0.016)
    assert "no hearing, the detector failed" in headset.line.wait_report(mode="transparency")["refused"]
    headset.line.desire(filter=filter_document(GOOD, seq=1), mode="cancel")
    headset.sound(0.5)
    headset.agent.stop()
    assert headset.controller.active.gain == 0


@pytest.mark.parametrize("level", [np.nan, np.inf, 1e30])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_microphone_that_gives_no_sound_opens_the_headset_which_says_why_and_goes_on(
    headset: Headset, level: float
):
    headset.line.come_online()
    headset.level = level
    headset.sound(0.1)
    told = headset.line.wait_report(mode="transparency")["refused"]
    assert told == "no hearing, a microphone gives what is no sound: open to the world"
    headset.level = 0.1
    headset.sound(1.5)
    headset.line.desire(intensity=0.5)
    assert headset.line.wait_report(intensity=0.5)["refused"] == told
    headset.agent.stop()
