"""An alarm starts transparency, is stored once, published, and held."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from anc.noise import LABELS, Prediction
from anc.records import Watch
from anc.sample_rates import MAX_HEADSET_RATE
from anc.schemas.messages import ControlChanged, decode
from anc.schemas.snapshot import MAX_PCM_SAMPLES, Snapshot
from anc.schemas.websocket import Audio, FilteredBlock, Start, encode_pcm
from anc.services import emergencies
from anc.services.emergencies import EmergencyQuery
from anc.services.headsets import control, devices
from anc.services.headsets.devices import Registration
from anc.services.headsets.emergency_hold import MAX_LATE_S
from anc.services.sound import detection, sessions
from anc.services.sound.streaming import filter_block
from tests.fakes import ALICE, FakePlatform, make_dependencies

RATE = 16_000


def prediction(alarm: bool) -> Prediction:
    """Return the prediction for a window, with or without a siren."""
    return Prediction(
        label="road",
        confidence=0.9,
        probabilities={label: 0.9 if label == "road" else 0.01 for label in LABELS},
        emergency=alarm,
        emergency_score=0.97 if alarm else 0.02,
        kinds={"siren": 0.97 if alarm else 0.02, "horn": 0.1, "alarm": 0.0},
        level_dbfs=-30.0,
    )


class LoudnessClassifier:
    """A classifier that detects an alarm in every loud block."""

    def __init__(self, *_: object) -> None:
        self.latest = None

    @classmethod
    def from_state(cls, *_: object) -> "LoudnessClassifier":
        return cls()

    def process(self, x: np.ndarray) -> list:
        self.latest = prediction(bool(np.abs(x).max() > 0.5))
        return [self.latest]

    def state(self) -> bytes:
        return b"state"

    def classify(self, x: np.ndarray, rate: int) -> Prediction:
        return prediction(bool(np.abs(x).max() > 0.5))


@pytest.fixture(autouse=True)
def _ears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "MultichannelClassifier", LoudnessClassifier)
    monkeypatch.setattr(detection, "load_classifier", lambda settings: LoudnessClassifier())


def block(loud: bool) -> np.ndarray:
    return np.full((4000, 2), 20_000 if loud else 100, np.int16)


def send(platform: FakePlatform, session: str, seq: int, loud: bool) -> FilteredBlock:
    return filter_block(Audio(session=session, seq=seq, pcm=encode_pcm(block(loud))), ALICE, platform.deps)


def test_an_alarm_in_a_live_block_holds_transparency_for_ten_seconds_of_audio(
    platform: FakePlatform,
) -> None:
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, platform.deps).key
    loud = [False, True] + [False] * 45
    active = [send(platform, session, seq, alarm).emergency.active for seq, alarm in enumerate(loud)]
    quarter_seconds = active.count(True)
    assert active[:2] == [False, True]
    assert not active[-1]
    assert quarter_seconds / 4 == pytest.approx(10, abs=0.3)


def test_a_continuing_alarm_is_one_emergency(platform: FakePlatform) -> None:
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, platform.deps).key
    for seq in range(6):
        send(platform, session, seq, loud=True)
    (event,) = emergencies.search(EmergencyQuery(), ALICE, platform.deps).events
    assert (event.source, event.kind, event.score) == (session, "siren", 0.97)
    assert len(platform.alerts.messages) == 1


def test_in_transparency_the_primary_passes_unchanged(platform: FakePlatform) -> None:
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, platform.deps).key
    answer = send(platform, session, 0, loud=True)
    assert answer.pcm == encode_pcm(block(True)[:, 1])


class PowerCut(BaseException):
    """An interruption that no `except Exception` catches."""


STEPS = ("commit", "event", "alert", "note")


def cut_before(step: str, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the power once, before one of the steps of an alarm."""
    deps = platform.deps
    if step == "alert":
        fail_once(platform.alerts, "publish", 1, PowerCut(), monkeypatch)
    elif step == "event":
        fail_once(deps.emergencies, "put", 1, PowerCut(), monkeypatch)
    else:
        for table in (deps.streams, deps.controls):
            fail_once(table, "put", 1 if step == "commit" else 2, PowerCut(), monkeypatch)


def fail_once(
    what: object, name: str, number: int, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raise in place of the call with this number, counted from now."""
    done: Callable = getattr(what, name)
    calls = iter(range(1, 1000))

    def attempt(*arguments: object) -> object:
        if next(calls) == number:
            raise fault
        return done(*arguments)

    monkeypatch.setattr(what, name, attempt)


def assert_published(platform: FakePlatform, step: str) -> None:
    """Assert that the event is stored once and the alert sent, twice only if the first was not recorded."""
    (event,) = emergencies.search(EmergencyQuery(), ALICE, platform.deps).events
    assert event.kind == "siren"
    assert len(platform.alerts.messages) == (2 if step == "note" else 1)
    assert platform.counts["emergencies_raised"] == 1


@pytest.mark.parametrize("then", [0, 1], ids=["same", "next"])
@pytest.mark.parametrize("step", STEPS)
def test_an_alarm_in_a_live_block_is_published_after_any_power_failure(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, step: str, then: int
) -> None:
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, platform.deps).key
    cut_before(step, platform, monkeypatch)
    with pytest.raises(PowerCut):
        send(platform, session, 0, loud=True)
    platform.deps.session_cache.discard(session)
    platform.clock.now += 3.0
    assert send(platform, session, then, loud=True).emergency.active
    for seq in range(then + 1, 4):
        send(platform, session, seq, loud=True)
    assert_published(platform, step)


@pytest.mark.parametrize("then", [1, 2], ids=["same", "next"])
@pytest.mark.parametrize("step", STEPS)
def test_an_alarm_in_a_snapshot_is_published_after_any_power_failure(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, step: str, then: int
) -> None:
    deps = platform.deps
    devices.register(Registration("headset-1", [0.0, 0.5], rate=RATE, taps=64), ALICE, deps)
    cut_before(step, platform, monkeypatch)
    with pytest.raises(PowerCut):
        control.process_snapshot("headset-1", alarming(1), deps)
    platform.clock.now += 3.0
    for seq in (then, then, then + 1):
        control.process_snapshot("headset-1", alarming(seq), deps)
    assert_published(platform, step)
    assert platform.messages(), "the headset must be updated"


def alarming(seq: int) -> bytes:
    """Return a snapshot with an alarm."""
    pcm = np.tile(block(True), (4, 1))
    return Snapshot(seq, RATE, len(pcm), "", pcm=pcm).encode()


def test_a_block_is_answered_when_its_alarm_cannot_be_published_and_the_next_block_publishes_it(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, platform.deps).key
    fail_once(platform.deps.emergencies, "put", 1, RuntimeError("the table is away"), monkeypatch)
    assert send(platform, session, 0, loud=True).emergency.active
    assert not platform.alerts.messages
    send(platform, session, 1, loud=False)
    assert_published(platform, "event")


def test_detection_can_be_disabled(tmp_path, clock) -> None:
    platform = make_dependencies(tmp_path, clock, emergency_detection_enabled=False)
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, platform.deps).key
    assert not send(platform, session, 0, loud=True).emergency.active


def test_an_alarm_in_a_snapshot_starts_transparency_notifies_watchers_and_ends(
    platform: FakePlatform,
) -> None:
    deps = platform.deps
    devices.register(Registration("headset-1", [0.0, 0.5], rate=RATE, taps=64), ALICE, deps)
    deps.watches.put(Watch(key="headset-1#c", group="headset-1", connection="c"))
    pcm = np.tile(block(True), (4, 1))
    control.process_snapshot("headset-1", Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode(), deps)
    control.deliver("headset-1", deps)
    news = json.loads(platform.sockets.posted[-1][1])
    assert (news["mode"], news["reason"]) == ("transparency", "siren detected")
    assert [event.source for event in emergencies.search(EmergencyQuery(), ALICE, deps).events] == [
        "headset-1"
    ]
    platform.clock.now += deps.settings.emergency_hold_s + 1.5
    assert platform.messages(), "the end of the hold must be queued"
    control.deliver("headset-1", deps)
    assert json.loads(platform.sockets.posted[-1][1])["mode"] == "cancel"


@pytest.mark.parametrize("order", [("alarm", "end"), ("end", "alarm"), ("alarm", "alarm", "end")])
def test_an_alarm_whose_update_is_delivered_after_its_hold_opens_the_headset_once_all_the_same(
    platform: FakePlatform, order: tuple[str, ...]
) -> None:
    deps = platform.deps
    devices.register(Registration("headset-1", [0.0, 0.5], rate=RATE, taps=64), ALICE, deps)
    deps.watches.put(Watch(key="headset-1#c", group="headset-1", connection="c"))
    pcm = np.tile(block(True), (4, 1))
    control.process_snapshot("headset-1", Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode(), deps)
    platform.clock.now += deps.settings.emergency_hold_s + 20
    platform.messages()
    for _ in order:  # both are the same message
        control.deliver("headset-1", deps)
        news = json.loads(platform.sockets.posted[-1][1])
        assert (news["mode"], news["reason"]) == ("transparency", "siren detected")
    assert platform.counts["emergencies_delivered_late"] == 1
    platform.clock.now += deps.settings.emergency_hold_s + 1.5
    assert platform.messages(), "the end of the hold must be queued"
    for _ in range(2):
        control.deliver("headset-1", deps)
        assert json.loads(platform.sockets.posted[-1][1])["mode"] == "cancel"


def deliver_updates(platform: FakePlatform) -> int:
    """Deliver the updates that are due, as the queue's consumer does, and return how many they were."""
    due = platform.updates.receive(100)
    for message in due:
        change = decode(message.body, ControlChanged)
        control.deliver(change.thing, platform.deps, change.at, change.ends)
        platform.updates.done(message)
    return len(due)


def test_alarms_that_last_cost_a_constant_number_of_updates(platform: FakePlatform) -> None:
    deps = platform.deps
    devices.register(Registration("headset-1", [0.0, 0.5], rate=RATE, taps=64), ALICE, deps)
    pcm = np.tile(block(True), (4, 1))
    for seq in range(1, 81):
        control.process_snapshot("headset-1", Snapshot(seq, RATE, len(pcm), "", pcm=pcm).encode(), deps)
        assert deliver_updates(platform) <= 2, "the change, and the end of an earlier hold"
        platform.clock.now += 2
    platform.clock.now += deps.settings.emergency_hold_s
    deliver_updates(platform)
    assert deps.shadows.get("headset-1")["state"]["desired"]["mode"] == "cancel"
    assert deliver_updates(platform) == 0


def test_an_alarm_of_long_ago_does_not_open_the_headset(platform: FakePlatform) -> None:
    deps = platform.deps
    devices.register(Registration("headset-1", [0.0, 0.5], rate=RATE, taps=64), ALICE, deps)
    pcm = np.tile(block(True), (4, 1))
    control.process_snapshot("headset-1", Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode(), deps)
    platform.clock.now += deps.settings.emergency_hold_s + MAX_LATE_S + 1
    control.deliver("headset-1", deps)
    assert deps.shadows.get("headset-1")["state"]["desired"]["mode"] == "cancel"


def test_an_alarm_that_changes_while_it_is_delivered_is_delivered_again(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    deps = platform.deps
    devices.register(Registration("headset-1", [0.0, 0.5], rate=RATE, taps=64), ALICE, deps)
    pcm = np.tile(block(True), (4, 1))
    control.process_snapshot("headset-1", Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode(), deps)
    update = deps.shadows.update

    def changed_meanwhile(thing: str, document: object) -> None:
        monkeypatch.setattr(deps.shadows, "update", update)
        deps.controls.put(deps.controls.get(thing).replace(intensity=0.25))
        update(thing, document)

    monkeypatch.setattr(deps.shadows, "update", changed_meanwhile)
    control.deliver("headset-1", deps)
    sent = deps.shadows.get("headset-1")["state"]["desired"]
    assert (sent["mode"], sent["intensity"]) == ("transparency", 0.25)


@pytest.mark.parametrize(
    ("rate", "samples", "opens"),
    [
        (RATE, RATE // 4, False),
        (RATE, RATE // 2, True),
        (RATE, RATE, True),
        (MAX_HEADSET_RATE, MAX_HEADSET_RATE // 4, False),
        (MAX_HEADSET_RATE, MAX_PCM_SAMPLES, True),  # a third of a second: no message holds more
    ],
)
def test_the_first_short_snapshot_cannot_raise_an_alarm_and_a_follow_up_can(
    platform: FakePlatform, rate: int, samples: int, opens: bool
) -> None:
    devices.register(Registration("headset-1", [0.0, 0.5], rate=rate, taps=64), ALICE, platform.deps)
    pcm = np.resize(block(True), (samples, 2))
    control.process_snapshot("headset-1", Snapshot(1, rate, len(pcm), "", pcm=pcm).encode(), platform.deps)
    control.deliver("headset-1", platform.deps)
    assert bool(emergencies.search(EmergencyQuery(), ALICE, platform.deps).events) is opens
