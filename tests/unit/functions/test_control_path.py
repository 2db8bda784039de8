"""Batches of queue messages: snapshots, updates and reports, each processed independently."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.pcm import float_to_int16
from anc.ports import Conflict
from anc.records import Watch
from anc.schemas.messages import ControlChanged, encode
from anc.schemas.snapshot import Snapshot
from anc.services import platform_metrics
from anc.services.headsets import control, device_models, device_status, devices, telemetry
from anc.services.headsets.device_models import ModelDescription
from anc.services.headsets.devices import Registration
from functions.anc_processor.handler import handler as anc_processor
from functions.audio_sender.handler import handler as audio_sender
from local.lambda_context import LocalContext
from local.storage.queues import Message, sqs_event
from tests.fakes import ALICE, FakePlatform

RATE, TAPS = 16_000, 32
SECONDARY = [0.0, 0.5, 0.2]


def without_refusals(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Leave out what records refusals: statuses, and two columns of the fleet's summaries."""
    return [
        (*row[:-3], row[-1]) if row[0] == "fleet_summaries" else row for row in rows if row[0] != "statuses"
    ]


def snapshot(seq: int, rate: int = RATE) -> bytes:
    """Return a snapshot of half a second of noise, three samples later at the error microphone."""
    x = 0.05 * np.random.default_rng(seq).standard_normal(8000)
    pcm = float_to_int16(np.stack([x, np.concatenate([np.zeros(3), 0.6 * x[:-3]])], axis=1))
    return Snapshot(seq, rate, 8000, "", pcm=pcm).encode()


UNKNOWN_FILTER = Snapshot(1, RATE, 8000, "0123456789abcdef", pcm=np.ones((8000, 2), np.int16)).encode()


def published(kind: str, thing: str, payload: bytes) -> dict[str, Any]:
    """Return what an IoT rule forwards."""
    payload_text = base64.b64encode(payload).decode()
    return {"kind": kind, "thing": thing, "at": 1_800_000_000_000, "payload": payload_text}


def message(thing: str, data: bytes) -> dict[str, Any]:
    return published("snapshot", thing, data)


def batch(*bodies: Any) -> dict[str, Any]:
    """Return an SQS event; the messages are numbered from 0."""
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return sqs_event("queue", [Message(n, text, 1) for n, text in enumerate(texts)])


def failures(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def process(platform: FakePlatform, *bodies: Any) -> list[str]:
    return failures(anc_processor(batch(*bodies), LocalContext("anc_processor"), platform.deps))


def send(platform: FakePlatform, *things: str | ControlChanged) -> list[str]:
    changes = (ControlChanged(thing) if isinstance(thing, str) else thing for thing in things)
    event = batch(*map(encode, changes))
    return failures(audio_sender(event, LocalContext("audio_sender"), platform.deps))


@pytest.fixture
def headsets(platform: FakePlatform) -> FakePlatform:
    for thing in ("left", "right"):
        devices.register(Registration(thing, SECONDARY, rate=RATE, taps=TAPS), ALICE, platform.deps)
    return platform


def test_each_snapshot_of_a_batch_gets_its_headset_a_filter(headsets: FakePlatform) -> None:
    assert process(headsets, message("left", snapshot(1)), message("right", snapshot(2))) == []
    for thing, seq in (("left", 1), ("right", 2)):
        known = headsets.deps.controls.get(thing)
        assert known is not None
        assert (known.seq, known.filters[0].seq) == (seq, seq)
    received = 1_800_000_000.0
    assert set(headsets.messages()) == {ControlChanged("left", received), ControlChanged("right", received)}


def test_only_failed_messages_of_a_batch_are_retried_and_refused_ones_are_not(
    headsets: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = headsets.deps.controls.put

    def overtaken(record: Any) -> Any:
        if record.key == "right":
            raise Conflict(record.key)
        return put(record)

    monkeypatch.setattr(headsets.deps.controls, "put", overtaken)
    good, refused, failing = message("left", snapshot(1)), message("left", b"nonsense"), snapshot(1)

    assert process(headsets, refused, good, message("right", failing)) == ["2"]
    known = headsets.deps.controls.get("left")
    assert known is not None
    assert known.seq == 1
    assert headsets.counts["snapshots_refused_truncated"] == 1

    monkeypatch.undo()
    assert process(headsets, message("right", failing)) == [], "a retry succeeds"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "truncated"),
        (b"ANC1", "truncated"),
        (b"ANC2" + snapshot(1)[4:], "bad_field"),
        (snapshot(1)[:-1], "truncated"),
        (snapshot(1) + b"\0", "truncated"),
        (snapshot(1, rate=48_000), "bad_field"),
        (bytes(128 * 1024 + 1), "too_large"),
    ],
    ids=["empty", "no header", "other magic", "short", "long", "other rate", "oversized"],
)
def test_an_invalid_snapshot_is_refused_counted_and_recorded_for_its_owner(
    headsets: FakePlatform, stored: Any, data: bytes, code: str
) -> None:
    before = stored()
    assert process(headsets, message("left", data)) == []
    assert headsets.counts[f"snapshots_refused_{code}"] == 1
    assert without_refusals(stored()) == without_refusals(before)
    refusal = device_status.find("left", headsets.deps).refusal
    assert refusal is not None
    assert (refusal.what, refusal.code, refusal.at) == ("snapshot", code, headsets.clock.now)
    assert refusal.message


def test_after_an_unknown_filter_a_snapshot_without_control_is_requested(
    headsets: FakePlatform, stored: Any
) -> None:
    assert process(headsets, message("left", UNKNOWN_FILTER)) == []
    refusal = device_status.find("left", headsets.deps).refusal
    assert refusal is not None
    assert (refusal.what, refusal.code) == ("snapshot", "unknown_filter")
    send(headsets, "left")
    shadow = headsets.deps.shadows.get("left")
    assert shadow is not None
    assert shadow["state"]["desired"] == {
        "mode": "cancel",
        "intensity": 1.0,
        "reason": "",
        "without_control": 1,
    }
    assert headsets.messages() == [ControlChanged("left")]
    before = [row for row in stored() if row[0] in ("controls", "shadows")]
    assert process(headsets, message("left", UNKNOWN_FILTER)) == []  # at least once
    assert [row for row in stored() if row[0] in ("controls", "shadows")] == before
    assert process(headsets, message("left", snapshot(2))) == []
    known = headsets.deps.controls.get("left")
    assert known is not None
    assert known.filters[0].seq == 2


def report(thing: str, data: bytes) -> dict[str, Any]:
    return published("telemetry", thing, data)


def test_sent_kept_and_reverted_filters_are_counted_for_admins_and_prometheus(
    headsets: FakePlatform, call: Any
) -> None:
    process(headsets, message("left", snapshot(1)), message("left", snapshot(2)))
    process(headsets, report("left", b'{"filters": 1, "reverted": 1, "run": 7, "line": 0}'))
    process(headsets, report("left", b'{"filters": 1, "reverted": 1, "run": 7, "line": 0}'))  # redelivered
    totals = call("GET", "/api/stats/summary", role="admin")[1]["totals"]
    decided = totals["filters_sent"], totals.get("filters_kept", 0), totals["filters_reverted"]
    assert sum(decided[:2]) == 2
    assert decided[2] == 1
    shown = platform_metrics.exposition(headsets.deps.counters.read())
    assert f"anc_filters_sent_total {decided[0]}.0" in shown
    assert "anc_filters_reverted_total 1.0" in shown


def test_valid_telemetry_is_stored_and_invalid_telemetry_refused(
    headsets: FakePlatform,
) -> None:
    assert process(headsets, report("left", b'{"battery": 0.5}'), report("right", b'{"battery": 5}')) == []
    assert telemetry.latest("left", ALICE, headsets.deps)[1].battery == 0.5
    refusal = device_status.find("right", headsets.deps).refusal
    assert refusal is not None
    assert (refusal.what, refusal.code) == ("telemetry", "bad_field")
    assert "battery" in refusal.message


def measured(to: str, **changes: Any) -> dict[str, Any]:
    message = {"secondary": [0.0, 0.5, 0.1], "rate": RATE, "played": "music", "fit_db": 18.0, **changes}
    return published("path", to, json.dumps(message).encode())


def test_a_measured_path_is_stored_and_statistics_of_the_old_path_are_discarded(
    headsets: FakePlatform,
) -> None:
    process(headsets, message("left", snapshot(1)))
    for _ in range(2):  # at least once
        assert process(headsets, measured("left")) == []
    device, control = headsets.deps.devices.get("left"), headsets.deps.controls.get("left")
    assert device is not None
    assert control is not None
    assert np.frombuffer(device.secondary, np.float32) == pytest.approx([0.0, 0.5, 0.1])
    assert (control.memory, control.seq) == (b"", 1)
    assert headsets.counts["paths_replaced"] == 1


def test_an_older_path_overwrites_neither_a_newer_one_nor_one_set_by_the_owner(
    headsets: FakePlatform,
) -> None:
    def path_after(*messages: dict[str, Any]) -> list[float]:
        assert process(headsets, *messages) == []
        device = headsets.deps.devices.get("left")
        assert device is not None
        return [round(tap, 3) for tap in np.frombuffer(device.secondary, np.float32).tolist()]

    older, newer = measured("left", seq=7), measured("left", seq=9, secondary=[0.0, 0.4])
    assert path_after(older) == [0.0, 0.5, 0.1]
    assert path_after(newer, older) == [0.0, 0.4]
    assert device_status.find("left", headsets.deps).refused == 0
    devices.replace_path("left", [0.3], None, ALICE, headsets.deps)
    assert path_after(newer, older) == [0.3]
    assert path_after(measured("left", seq=10, secondary=[0.3])) == [0.3]
    assert path_after(newer) == [0.3]


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"fit_db": 3.0}, "poor_fit", "in a quieter place"),
        ({"secondary": []}, "bad_field", "secondary"),
        ({"secondary": [0.1] * 1025}, "bad_field", "1024"),
        ({"secondary": [1.05**n for n in range(128)]}, "bad_field", "must decay"),
        ({"secondary": [0.0] * 8}, "bad_field", "not all zero"),
        ({"secondary": [-9.999999999999995e-07]}, "bad_field", "largest tap must be at least 1e-06"),
        ({"secondary": [100.000001]}, "bad_field", "at most 100 (got 100)"),
        ({"secondary": [0.0, 200.0]}, "bad_field", "at most 100 (got 200)"),
        ({"secondary": [0.0, -0.5, -0.1]}, "bad_field", "wrong polarity"),
        ({"rate": 48_000}, "bad_field", "rate: must be 16000 Hz, as registered (got 48000)"),
        ({"played": "silence"}, "bad_field", "silence"),
        ({"thing": "right"}, "bad_field", "thing"),
        ({"secondary": [0.1] * 8000}, "too_large", "bytes"),
    ],
)
def test_an_invalid_measured_path_changes_nothing_and_the_reason_is_recorded(
    headsets: FakePlatform, stored: Any, changes: dict[str, Any], code: str, says: str
) -> None:
    device_models.describe("generic", ModelDescription(SECONDARY, RATE, TAPS), headsets.deps)
    before = stored()
    assert process(headsets, measured("left", **changes)) == []
    assert without_refusals(stored()) == without_refusals(before)
    refusal = device_status.find("left", headsets.deps).refusal
    assert refusal is not None
    assert (refusal.what, refusal.code) == ("path", code)
    assert says in refusal.message


def test_a_lifecycle_event_updates_the_connection_status(headsets: FakePlatform) -> None:
    message = {"clientId": "left", "timestamp": 1, "eventType": "connected", "sessionIdentifier": "s"}
    assert process(headsets, published("presence", "left", json.dumps(message).encode())) == []
    assert device_status.find("left", headsets.deps).online


def test_a_snapshot_of_an_unregistered_headset_is_refused(headsets: FakePlatform, stored: Any) -> None:
    before = stored()
    assert process(headsets, message("stranger", snapshot(1))) == []
    assert headsets.counts["snapshots_refused_unknown_device"] == 1
    assert stored() == before


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: snapshot(1)[:6] + tail))
def test_any_bytes_as_a_snapshot_are_refused_and_never_fail_the_function(
    headsets: FakePlatform, data: bytes
) -> None:
    assert process(headsets, message("left", data)) == []
    assert headsets.deps.controls.get("left") is None


@settings(max_examples=60, deadline=None)
@given(statistics=st.binary(max_size=200), summary=st.binary(max_size=50), samples=st.integers(0, 2**32 - 1))
def test_any_bytes_as_statistics_are_refused_and_never_fail_the_function(
    headsets: FakePlatform, statistics: bytes, summary: bytes, samples: int
) -> None:
    data = Snapshot(1, RATE, samples, "", statistics=statistics, summary=summary).encode()
    assert process(headsets, message("left", data)) == []
    assert headsets.deps.controls.get("left") is None


def test_an_update_writes_the_filter_to_the_shadow_and_notifies_watchers(
    headsets: FakePlatform,
) -> None:
    headsets.deps.watches.put(Watch(key="left#socket", group="left", connection="socket"))
    process(headsets, message("left", snapshot(1)))
    assert send(headsets, "left") == []
    document = headsets.deps.shadows.get("left")
    known = headsets.deps.controls.get("left")
    assert document is not None
    assert known is not None
    assert document["state"]["desired"]["filter"]["id"] == known.filters[0].id
    ((connection, frame),) = headsets.sockets.posted
    assert connection == "socket"
    assert json.loads(frame)["filter"] == known.filters[0].id


def test_an_update_of_a_headset_that_was_removed_meanwhile_does_nothing(headsets: FakePlatform) -> None:
    process(headsets, message("left", snapshot(1)))
    devices.remove("left", ALICE, headsets.deps)
    assert send(headsets, "left") == []
    assert headsets.sockets.posted == []


def test_a_failed_update_is_retried_and_the_others_are_delivered(
    headsets: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(headsets, message("left", snapshot(1)), message("right", snapshot(1)))
    update = headsets.deps.shadows.update

    def unreachable(thing: str, desired: Any) -> None:
        if thing == "left":
            raise TimeoutError("no answer from the shadow service")
        update(thing, desired)

    monkeypatch.setattr(headsets.deps.shadows, "update", unreachable)
    assert send(headsets, "left", "right") == ["0"]
    assert headsets.deps.shadows.get("left") is None
    assert headsets.deps.shadows.get("right") is not None


def test_a_headset_with_the_name_of_a_removed_one_starts_with_its_first_snapshot(
    headsets: FakePlatform,
) -> None:
    process(headsets, message("left", snapshot(1000)))
    late = headsets.deps.controls.get("left")
    assert late is not None
    devices.remove("left", ALICE, headsets.deps)
    headsets.deps.controls.put(late.replace(version=0))  # a snapshot that was being processed meanwhile
    devices.register(Registration("left", SECONDARY, rate=RATE, taps=TAPS), ALICE, headsets.deps)
    assert process(headsets, message("left", snapshot(1))) == []
    known = headsets.deps.controls.get("left")
    assert known is not None
    assert known.seq == 1


def test_the_end_of_an_emergency_is_announced_after_an_interrupted_first_attempt(
    headsets: FakePlatform,
) -> None:
    """The first attempt stops after the commit, before it queues messages; the snapshot is redelivered."""
    process(headsets, message("left", snapshot(1)))
    known = headsets.deps.controls.get("left")
    assert known is not None
    hold = headsets.deps.settings.emergency_hold_s
    headsets.deps.controls.put(known.replace(emergency_until=headsets.clock.now + hold))
    headsets.clock.now += 2
    for earlier in headsets.updates.receive(100):
        headsets.updates.done(earlier)

    assert process(headsets, message("left", snapshot(1))) == []
    assert headsets.messages() == [ControlChanged("left", 1_800_000_000.0)], "its beginning"
    control.deliver("left", headsets.deps)
    headsets.clock.now += hold + 1
    assert [message.thing for message in headsets.messages()] == ["left"], "its end"
