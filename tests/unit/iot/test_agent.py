"""The headset agent, on a line without a network."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from anc.dsp import Statistics, design_from_statistics
from anc.noise import Classifier
from anc.ports import Credentials
from anc.wire.path import MeasuredPath
from anc.wire.shadow import FilterDocument, float16
from anc.wire.snapshot import Snapshot
from iot import agent as module
from iot.agent import Agent
from iot.controller import Block, Controller
from iot.kept import KeptPath

RATE = 16_000
BLOCK = 256
PREFIX = "$aws/things/h1/shadow/name/anc/"
SNAPSHOT = "$aws/rules/anc_snapshot/anc/h1/snapshot"
PATIENCE_S = 20.0
SECONDARY = np.array([0.0, 0.0, 0.8, 0.3], np.float32)
PRIMARY = np.array([0.0, 0.0, 0.0, 0.7, 0.2], np.float32)
GOOD = np.array([0.0, 0.85, -0.1], np.float32)
NOWHERE = Credentials("", "", "", "", "127.0.0.1", 1)


class Line:
    """A connection whose other end is the test."""

    def __init__(self, thing: str, credentials: Credentials, when_online: Callable[[], None]) -> None:
        self.online = threading.Event()
        self.sent: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.version = 0
        self._heard: dict[str, Any] = {}
        self._when_online = when_online

    def on(self, topic: str, heard: Any) -> None:
        self._heard[topic] = heard

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.online.clear()

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.online.is_set():
            self.sent.put((topic, payload))
        return self.online.is_set()

    def come_online(self, desired: Any = None, reported: Any = None) -> None:
        self.online.set()
        self._when_online()
        self.version += 1
        state = {"desired": desired or {}, "reported": reported or {}}
        self._arrive("get/accepted", {"state": state, "version": self.version})

    def desire(self, **desired: Any) -> None:
        self.version += 1
        self._arrive("update/delta", {"state": desired, "version": self.version})

    def _arrive(self, stub: str, document: Any) -> None:
        self._heard[PREFIX + stub](json.dumps(document).encode())

    def wait_report(self, **expected: Any) -> dict[str, Any]:
        """Return the first report to come that holds all of `expected`."""
        while True:
            topic, payload = self.sent.get(timeout=PATIENCE_S)
            if topic == PREFIX + "update":
                reported: dict[str, Any] = json.loads(payload)["state"]["reported"]
                if expected.items() <= reported.items():
                    return reported

    def wait_snapshot(self) -> Snapshot:
        """Return the next snapshot to come."""
        while True:
            topic, payload = self.sent.get(timeout=PATIENCE_S)
            if topic == SNAPSHOT:
                return Snapshot.parse(payload)


class Ears:
    """Hears an alarm when the test says so."""

    def __init__(self) -> None:
        self.holding = False
        self.broken = False

    def hear(self, block: np.ndarray) -> None:
        if self.broken:
            raise RuntimeError("out of memory")


class Headset:
    """An agent on an ear, whose time passes as the test says."""

    def __init__(self, folder: Path, private: bool = False, firmware: str = "") -> None:
        self.controller = Controller(RATE, 64)
        self.ears = Ears()
        self.agent = Agent(
            "h1",
            NOWHERE,
            self.controller,
            SECONDARY,
            RATE,
            folder,
            self.ears,
            private=private,
            taps=64,
            firmware=firmware,
        )
        self.line: Line = self.agent._connection  # type: ignore[assignment]
        self.primary = PRIMARY
        self.level = 0.0
        self._rng = np.random.default_rng(0)
        self._x = np.zeros(64, np.float32)
        self._y = np.zeros(64, np.float32)
        self.agent.start()

    def sound(self, seconds: float) -> None:
        """Let time pass; orders given up to now are obeyed."""
        for _ in range(int(seconds * RATE / BLOCK)):
            x = self.level * self._rng.standard_normal(BLOCK).astype(np.float32)
            y = self.controller.process(x, at=float("inf"))
            self._x, self._y = np.concatenate([self._x, x])[-320:], np.concatenate([self._y, y])[-320:]
            d = np.convolve(self._x, self.primary)[self._x.size - BLOCK : self._x.size]
            e = d - np.convolve(self._y, SECONDARY)[self._y.size - BLOCK : self._y.size]
            self.agent.hear(Block(x, e, y, self.controller.voice, self.controller.steady))

    def play(self, w: np.ndarray, seq: int) -> str:
        """Have the cloud send a filter, and the headset report it; returns its id."""
        document = filter_document(w, seq)
        self.line.desire(filter=document)
        self.line.wait_report(filter=document["id"])
        return str(document["id"])


def filter_document(w: np.ndarray, seq: int, rate: int = RATE) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(FilterDocument.of(float16(w), seq, rate))
    return document


@pytest.fixture
def headset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Headset]:
    monkeypatch.setattr(module, "Connection", Line)
    headset = Headset(tmp_path)
    yield headset
    headset.agent.stop()


@pytest.fixture
def headset_that_updates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Headset]:
    monkeypatch.setattr(module, "Connection", Line)
    headset = Headset(tmp_path, firmware="1.0.0")
    yield headset
    headset.agent.stop()


def test_the_onset_of_noise_is_published_after_a_quarter_of_a_second_and_again_after_one(headset: Headset):
    headset.line.come_online()
    headset.sound(1.0)
    headset.level = 0.1
    headset.sound(0.6)
    glance = headset.line.wait_snapshot()
    assert (glance.seq, glance.samples, glance.filter_id) == (1, RATE // 4, "")
    assert np.std(glance.pcm[:250, 0] / 32768) == pytest.approx(0.1, rel=0.3)
    headset.sound(0.7)
    snapshot = headset.line.wait_snapshot()
    assert (snapshot.seq, snapshot.rate, snapshot.samples, snapshot.filter_id) == (2, RATE, RATE, "")
    x, e = snapshot.pcm.T / 32768
    assert np.std(x[:1000]) == pytest.approx(0.1, rel=0.2)  # noise from its first sample on
    assert np.std(e) == pytest.approx(0.073, rel=0.2)


def test_an_unchanging_noise_is_published_soon_once_more_and_then_on_a_slow_timer(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.sound(40)
    headset.agent.stop()
    assert headset.agent.status.snapshots == 5  # at about 0.4, 1, 5, 20 and 35 s


def test_in_privacy_mode_no_sound_leaves_the_headset_and_the_statistics_tell_the_same_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "Connection", Line)
    told = []
    for private in (False, True):
        headset = Headset(tmp_path / str(private), private)
        headset.line.come_online()
        headset.level = 0.1
        headset.sound(1.5)
        headset.line.wait_snapshot()
        told.append(headset.line.wait_snapshot())
        headset.agent.stop()
    heard, kept = told
    assert kept.pcm is None
    assert (kept.samples, kept.seq, kept.filter_id) == (heard.samples, heard.seq, heard.filter_id)
    x, d = heard.pcm.T / 32768
    aloud = Statistics.measure(x, d, SECONDARY, 64, RATE)
    w = design_from_statistics([Statistics.from_bytes(kept.statistics)]).taps
    assert aloud.residual_db(w) == pytest.approx(
        aloud.residual_db(design_from_statistics([aloud]).taps), abs=0.3
    )
    assert Classifier.load().classify_summary(kept.summary).label


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


def test_a_start_without_a_network_plays_the_last_filter_that_was_measured_to_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "Connection", Line)
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


def test_a_path_that_was_measured_is_told_under_one_number_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "Connection", Line)
    path = KeptPath(tmp_path / "path.json")

    def told() -> list[tuple[list[float], int]]:
        """Switch the headset on and off again; return what it tells of its path."""
        agent = Agent("h1", NOWHERE, Controller(RATE, 64), SECONDARY, RATE, tmp_path, None, path=path)
        line: Line = agent._connection  # type: ignore[assignment]
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


def test_a_headset_goes_about_it_as_configured_also_after_a_power_cycle_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "Connection", Line)
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


def test_what_becomes_of_a_firmware_is_reported(headset_that_updates: Headset):
    line = headset_that_updates.line
    line.come_online()
    firmware = {"version": "0.9.0", "url": "https://x/y", "sha256": "0" * 64, "size": 1}
    line.desire(firmware=firmware)
    refused = {"version": "0.9.0", "state": "refused", "reason": "version: older than 1.0.0, which runs"}
    line.wait_report(firmware=refused)


def test_quiet_is_not_published(headset: Headset):
    headset.line.come_online()
    headset.level = 1e-4
    headset.sound(20)
    headset.agent.stop()
    assert headset.agent.status.snapshots == 0


def test_a_snapshot_names_the_one_filter_that_played_during_all_of_it(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.sound(1.3)
    assert headset.line.wait_snapshot().filter_id == ""
    assert headset.line.wait_snapshot().filter_id == ""
    headset.sound(3.0)
    played = headset.play(GOOD, seq=1)
    headset.sound(2.0)  # the second look is due when the filter has not yet played for a second
    snapshot = headset.line.wait_snapshot()
    assert (snapshot.filter_id, snapshot.gain) == (played, 1.0)
    assert np.std(snapshot.pcm[:1000, 1] / 32768) < 0.03  # controlled from its first sample on


def useless_snapshot(headset: Headset) -> tuple[str, int]:
    """Have a headset publish with a filter that the cloud does not know; return filter and number."""
    headset.line.come_online()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.sound(2.0)
    while not (sent := headset.line.wait_snapshot()).filter_id or sent.samples < RATE:
        pass
    assert sent.filter_id == played
    return played, sent.seq


def test_what_the_cloud_could_not_use_is_sent_again_without_control_and_the_filter_plays_on(headset: Headset):
    played, seq = useless_snapshot(headset)
    headset.line.desire(without_control=seq)
    headset.line.wait_report(filter="")
    headset.sound(0.05 + 0.25 + 0.15)
    bare = headset.line.wait_snapshot()
    assert (bare.filter_id, bare.gain, bare.samples, bare.seq) == ("", 0.0, RATE // 4, seq + 1)
    assert np.std(bare.pcm[:, 1] / 32768) > 0.05
    assert headset.line.wait_report(filter=played)["seq"] == seq + 1
    headset.sound(0.1)
    assert headset.controller.voice.filter_id == played
    headset.line.desire(without_control=seq)  # as it comes with every delta until there is another
    headset.line.desire(intensity=0.5)
    assert headset.line.wait_report(intensity=0.5)["filter"] == played


def test_a_headset_that_plays_another_filter_by_now_falls_silent_for_nobody(headset: Headset):
    _, seq = useless_snapshot(headset)
    other = headset.play(0.9 * GOOD, seq=2)
    headset.line.desire(without_control=seq)
    headset.line.desire(intensity=0.5)
    assert headset.line.wait_report(intensity=0.5)["filter"] == other


def test_a_headset_that_loses_the_cloud_while_silent_for_it_plays_on(headset: Headset):
    played, seq = useless_snapshot(headset)
    headset.line.desire(without_control=seq)
    headset.line.wait_report(filter="")
    headset.line.online.clear()
    headset.sound(0.5)
    headset.agent.stop()
    headset.sound(0.1)
    assert headset.controller.voice.filter_id == played


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
    assert headset.controller.voice.filter_id != bad
    assert headset.agent.status.filter_id == ""


def test_a_worse_filter_gives_way_to_the_one_before(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    good = headset.play(GOOD, seq=1)
    headset.sound(1.0)
    headset.play(0.4 * GOOD, seq=2)
    headset.sound(0.5)
    assert headset.line.wait_report(reverted=1)["filter"] == good


def test_a_noise_that_the_filter_does_not_suit_is_published(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.sound(7.0)
    assert [headset.line.wait_snapshot().seq, headset.line.wait_snapshot().seq] == [1, 2]
    headset.primary = np.roll(PRIMARY, 1)  # the same sound from elsewhere: x is as before, e is not
    headset.sound(3.0)
    assert headset.line.wait_snapshot().seq == 3


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
    assert headset.controller.voice.filter_id == ""


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


@pytest.mark.parametrize("mode", ["transparency", "bypass"])
def test_no_anti_noise_is_played_in_another_mode(headset: Headset, mode: str):
    headset.line.come_online()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.line.desire(mode=mode)
    headset.line.wait_report(mode=mode)
    headset.sound(0.2)
    assert headset.controller.voice.gain == 0
    headset.line.desire(mode="cancel")
    assert headset.line.wait_report(mode="cancel")["filter"] == played


def test_an_alarm_opens_the_headset_without_asking_anybody(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.sound(0.5)
    headset.line.online.clear()  # nobody could be asked
    headset.ears.holding = True
    headset.sound(0.016)
    headset.line.online.set()
    headset.sound(0.016)
    headset.line.wait_report(mode="transparency")
    headset.sound(0.2)
    assert headset.controller.voice.gain == 0
    headset.ears.holding = False
    headset.sound(0.016)
    assert headset.line.wait_report(mode="cancel")["filter"] == played


def test_a_headset_that_cannot_hear_alarms_stays_open_and_says_why(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.ears.broken = True
    headset.sound(0.016)
    assert "no hearing" in headset.line.wait_report(mode="transparency")["refused"]
    headset.line.desire(filter=filter_document(GOOD, seq=1), mode="cancel")
    headset.sound(0.5)
    headset.agent.stop()
    assert headset.controller.voice.gain == 0


def test_offline_the_filter_keeps_playing_and_no_stale_snapshot_is_sent_later(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.line.online.clear()
    headset.sound(30)
    assert headset.controller.voice.gain == 1.0
    headset.line.come_online()
    headset.sound(0.1)
    assert headset.line.wait_snapshot().seq == 1


def test_snapshots_are_numbered_on_above_what_the_shadow_says(headset: Headset):
    headset.line.come_online(reported={"seq": 41})
    headset.level = 0.1
    headset.sound(1.3)
    assert headset.line.wait_snapshot().seq == 42


def test_the_filter_in_the_shadow_is_played_when_the_headset_comes_back(headset: Headset):
    document = filter_document(GOOD, seq=3)
    headset.line.come_online(desired={"mode": "cancel", "intensity": 0.5, "filter": document})
    assert headset.line.wait_report(filter=document["id"])["intensity"] == 0.5
