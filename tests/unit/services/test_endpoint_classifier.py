"""Reclassification: uncertain labels are replaced by the endpoint's while the snapshot is the latest."""

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from anc.dsp import Statistics
from anc.headset_records import Control
from anc.noise import summary
from anc.ports import Conflict, EndpointUnavailable
from anc.records import Watch
from anc.schemas.messages import ControlChanged, decode
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import EmergencyState, NoisePrediction
from anc.services.headsets import control, devices, reclassification
from anc.services.headsets.devices import Registration
from anc.services.sound import detection
from anc.services.sound.detection import Detection
from functions.classifier.handler import handler
from local.lambda_context import LocalContext
from local.storage.queues import sqs_event
from tests.fakes import ALICE, Clock, FakePlatform, make_dependencies
from tests.unit.functions.test_reclassification import endpoint_response
from tests.unit.services.test_control import RATE, SECONDARY, TAPS, THING, noise, snapshot


@pytest.fixture
def headset(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    """Give a platform with an endpoint and a watched headset whose noise has an uncertain label."""
    platform = make_dependencies(tmp_path, clock)
    platform.endpoint.response = endpoint_response("rail", 0.9)
    devices.register(Registration(THING, SECONDARY.tolist(), rate=RATE, taps=TAPS), ALICE, platform.deps)
    platform.deps.watches.put(Watch(key=f"{THING}#c", group=THING, connection="c"))
    sounds_like(monkeypatch, "machine", 0.4)
    return platform


def sounds_like(
    monkeypatch: pytest.MonkeyPatch, label: str, confidence: float, score: float = 0.0, channel: int = 0
) -> None:
    noise, emergency = NoisePrediction(label, confidence), EmergencyState(False, score)
    detected = Detection(noise, emergency, 0.0, channel=channel)
    monkeypatch.setattr(detection, "detect_in_snapshot", lambda snapshot, deps, evidence, gap_s: detected)


def send(headset: FakePlatform, seq: int, seed: int | None = None) -> None:
    control.process_snapshot(THING, snapshot(seq, noise(1, seed=seed or seq)), headset.deps)


def reclassify(headset: FakePlatform) -> list[Any]:
    """Let the classifier process the waiting requests; return those that failed."""
    messages = headset.reclassifications.receive(10)
    if not messages:
        return []
    answer = handler(sqs_event("reclassifications", messages), LocalContext("classifier"), headset.deps)
    failed = answer["batchItemFailures"]
    for message in messages:
        if {"itemIdentifier": str(message.id)} not in failed:
            headset.reclassifications.done(message)
    return list(failed)


def delivered_labels(headset: FakePlatform) -> tuple[str, str]:
    """Deliver the due updates; return the noise label in the shadow and the one that the watcher got."""
    for message in headset.updates.receive(10):
        control.deliver(decode(message.body, ControlChanged).thing, headset.deps)
        headset.updates.done(message)
    document = headset.deps.shadows.get(THING)
    assert document is not None
    watched = json.loads(headset.sockets.posted[-1][1])
    return document["state"]["desired"]["noise"]["label"], watched["noise"]["label"]


def test_the_filter_is_sent_at_once_and_the_label_of_the_endpoint_follows(headset: FakePlatform) -> None:
    send(headset, 1)
    assert headset.endpoint.requests == []
    assert delivered_labels(headset) == ("machine", "machine")
    first = headset.deps.controls.get(THING)
    assert first is not None
    assert first.filters

    assert reclassify(headset) == []
    assert delivered_labels(headset) == ("rail", "rail")
    renamed = headset.deps.controls.get(THING)
    assert renamed is not None
    assert (renamed.noise, renamed.confidence, renamed.filters) == ("rail", 0.9, first.filters)


def test_the_endpoint_gets_the_reference_microphone_of_the_snapshot(headset: FakePlatform) -> None:
    send(headset, 1)
    reclassify(headset)
    question = json.loads(headset.endpoint.requests[0])
    parsed = Snapshot.parse(snapshot(1, noise(1, seed=1)))
    assert parsed.pcm is not None
    assert question["rate"] == RATE
    assert base64.b64decode(question["pcm"]) == parsed.pcm[:, 0].tobytes()


def test_reclassifying_a_snapshot_that_is_no_longer_the_latest_changes_nothing(
    headset: FakePlatform,
) -> None:
    send(headset, 1)
    waiting = headset.reclassifications.receive(10)
    send(headset, 2)
    before = headset.deps.controls.get(THING)
    handler(sqs_event("reclassifications", waiting), LocalContext("classifier"), headset.deps)
    assert headset.deps.controls.get(THING) == before
    assert headset.endpoint.requests == []
    assert headset.counts["reclassifications_too_late"] == 1


def test_reclassifying_a_snapshot_changes_nothing_when_another_one_is_processed_meanwhile(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(headset, 1)
    answer = headset.endpoint.invoke

    def slow(request: bytes) -> bytes:
        send(headset, 2)
        return answer(request)

    monkeypatch.setattr(headset.endpoint, "invoke", slow)
    reclassify(headset)
    latest = headset.deps.controls.get(THING)
    assert latest is not None
    assert (latest.seq, latest.noise) == (2, "machine")


def test_a_request_whose_write_conflicts_is_retried(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(headset, 1)
    put = headset.deps.controls.put

    def conflict(record: Any) -> Any:
        monkeypatch.setattr(headset.deps.controls, "put", put)
        raise Conflict

    monkeypatch.setattr(headset.deps.controls, "put", conflict)
    assert len(reclassify(headset)) == 1
    headset.clock.now += 61
    assert reclassify(headset) == []
    assert delivered_labels(headset) == ("rail", "rail")


def test_a_request_delivered_twice_is_counted_once(headset: FakePlatform) -> None:
    send(headset, 1)
    messages = headset.reclassifications.receive(10)
    for _ in range(2):
        handler(sqs_event("reclassifications", messages), LocalContext("classifier"), headset.deps)
    assert headset.counts["reclassifications_done"] == 1


def test_a_short_snapshot_is_not_reclassified(headset: FakePlatform) -> None:
    control.process_snapshot(THING, snapshot(1, noise(0.5, seed=1)), headset.deps)
    assert headset.reclassifications.depth() == 0


def test_a_label_that_the_endpoint_confirms_is_stored_without_an_update_of_the_shadow(
    headset: FakePlatform,
) -> None:
    headset.endpoint.response = endpoint_response("machine", 0.9)
    send(headset, 1)
    assert delivered_labels(headset) == ("machine", "machine")
    assert reclassify(headset) == []
    assert headset.updates.depth() == 0
    known = headset.deps.controls.get(THING)
    assert known is not None
    assert (known.confidence, known.reclassified_from) == (0.9, "machine")


def test_a_confident_or_quiet_label_is_not_reclassified(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds_like(monkeypatch, "machine", 0.7)
    send(headset, 1)
    sounds_like(monkeypatch, "quiet", 0.5)
    send(headset, 2)
    assert headset.reclassifications.depth() == 0


def test_without_an_endpoint_nothing_is_reclassified(headset: FakePlatform) -> None:
    headset.endpoint.response = None
    send(headset, 1)
    assert headset.reclassifications.depth() == 0


def test_when_the_endpoint_fails_the_first_label_stays_and_the_queue_is_emptied(
    headset: FakePlatform,
) -> None:
    headset.endpoint.response = EndpointUnavailable("HTTP 500")
    send(headset, 1)
    assert reclassify(headset) == []
    assert delivered_labels(headset) == ("machine", "machine")
    assert headset.reclassifications.depth() == 0


def test_a_steady_noise_keeps_the_label_of_the_endpoint(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(headset, 1)
    reclassify(headset)
    names = []
    for seq in (2, 3):
        send(headset, seq)
        names.append(delivered_labels(headset)[1])
        reclassify(headset)
        names.append(delivered_labels(headset)[1])
    assert names == ["rail"] * 4
    sounds_like(monkeypatch, "road", 0.4)
    send(headset, 4)
    assert delivered_labels(headset)[1] == "road"


def test_in_private_mode_nothing_is_reclassified_because_no_sound_was_sent(headset: FakePlatform) -> None:
    x, d = noise(1, seed=1), noise(1, seed=2)
    statistics = Statistics.measure(x, d, SECONDARY, TAPS, RATE).to_bytes()
    private = Snapshot(1, RATE, x.size, "", statistics=statistics, summary=summary(x, RATE))
    control.process_snapshot(THING, private.encode(), headset.deps)
    known = headset.deps.controls.get(THING)
    assert known is not None
    assert known.noise == "machine"
    assert headset.reclassifications.depth() == 0


def delivery(body: str) -> dict[str, Any]:
    """Return the event with which SQS delivers a message."""
    queue = "arn:aws:sqs:eu-central-1:000000000000:reclassifications"
    attributes = {"ApproximateReceiveCount": "1"}
    known = {"messageId": "1", "eventSource": "aws:sqs", "eventSourceARN": queue, "attributes": attributes}
    return {"Records": [known | {"body": body}]}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{}",
        "[1]",
        '{"thing": "h"}',
        '{"kind": "fax"}',
        '{"kind": "control_changed", "thing": "h"}',
        '{"kind": "reclassification", "thing": 1, "seq": "x"}',
    ],
)
def test_a_malformed_request_fails_and_ends_in_the_dead_letter_queue(
    headset: FakePlatform, message: str
) -> None:
    failed = {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert handler(delivery(message), LocalContext("classifier"), headset.deps) == failed


def test_a_request_of_the_former_format_is_processed_after_an_upgrade(headset: FakePlatform) -> None:
    send(headset, 1)
    body = (
        f'{{"thing": "{THING}", "seq": 1, "label": "machine", "question": {{"rate": 16000, "pcm": "AAAA"}}}}'
    )
    assert handler(delivery(body), LocalContext("classifier"), headset.deps) == {"batchItemFailures": []}
    assert delivered_labels(headset) == ("rail", "rail")


def test_a_request_at_the_highest_rate_fits_into_a_message(headset: FakePlatform) -> None:
    pcm = (3000 * np.random.default_rng(1).standard_normal((32_000, 2))).astype(np.int16)
    uncertain = Detection(NoisePrediction("rail", 0.1), EmergencyState(False, 0.0), 0.0)
    snapshot, known = Snapshot(1, 96_000, 32_000, "", pcm=pcm), Control(key=THING)
    replaced = known.replace(reclassified_from="rail")
    reclassification.request(THING, snapshot, uncertain, replaced, headset.deps)
    assert headset.reclassifications.receive(1) == []
    reclassification.request(THING, snapshot, uncertain, known, headset.deps)
    (message,) = headset.reclassifications.receive(1)
    assert len(message.body) < 256 * 1024
    assert json.loads(message.body)["question"]["rate"] == 16_000


SIREN = {"emergency": True, "kinds": {"siren": 0.93, "horn": 0.2}}


def mode(headset: FakePlatform) -> str:
    """Deliver the due updates; return the mode in the shadow."""
    for message in headset.updates.receive(10):
        control.deliver(decode(message.body, ControlChanged).thing, headset.deps)
        headset.updates.done(message)
    document = headset.deps.shadows.get(THING)
    assert document is not None
    return str(document["state"]["desired"]["mode"])


def test_a_possible_alarm_is_sent_to_the_endpoint_which_opens_the_headset(
    headset: FakePlatform, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds_like(monkeypatch, "machine", 0.95, score=0.5, channel=1)
    headset.endpoint.response = endpoint_response("rail", 0.9, **SIREN)
    send(headset, 1)
    assert mode(headset) == "cancel"
    assert reclassify(headset) == []
    assert mode(headset) == "transparency"
    known = headset.deps.controls.get(THING)
    assert known is not None
    assert (known.reason, known.noise) == ("siren detected", "machine"), "its certain label stays"
    (event,) = headset.deps.emergencies.list("alice")
    assert (event.source, event.kind, event.score) == (THING, "siren", 0.93)
    parsed = Snapshot.parse(snapshot(1, noise(1, seed=1)))
    assert parsed.pcm is not None
    question = json.loads(headset.endpoint.requests[0])
    assert base64.b64decode(question["pcm"]) == parsed.pcm[:, 1].tobytes(), "the suspect microphone"
    clock.now += headset.deps.settings.emergency_hold_s + 1
    assert mode(headset) == "cancel"


def test_the_endpoint_opens_the_headset_although_a_later_snapshot_was_processed(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds_like(monkeypatch, "machine", 0.4, score=0.5)
    headset.endpoint.response = endpoint_response("rail", 0.9, **SIREN)
    send(headset, 1)
    waiting = headset.reclassifications.receive(10)
    send(headset, 2)
    handler(sqs_event("reclassifications", waiting), LocalContext("classifier"), headset.deps)
    assert mode(headset) == "transparency"
    known = headset.deps.controls.get(THING)
    assert known is not None
    assert known.noise == "machine", "the label of the earlier snapshot is dropped"


def test_an_answer_about_an_old_snapshot_does_not_open_the_headset(
    headset: FakePlatform, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds_like(monkeypatch, "machine", 0.4, score=0.5)
    headset.endpoint.response = endpoint_response("rail", 0.9, **SIREN)
    send(headset, 1)
    clock.now += 11
    reclassify(headset)
    assert mode(headset) == "cancel"


def test_the_endpoint_does_not_end_an_emergency(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = headset.deps.clock() + 10
    alarm = Detection(
        NoisePrediction("road", 0.4), EmergencyState(True, 0.9, "siren detected"), until, "siren"
    )
    monkeypatch.setattr(detection, "detect_in_snapshot", lambda *_: alarm)
    send(headset, 1)
    reclassify(headset)
    assert mode(headset) == "transparency"


def test_with_detection_disabled_the_endpoint_opens_nothing(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = msgspec.structs.replace(headset.deps.settings, emergency_detection_enabled=False)
    headset.deps = dataclasses.replace(headset.deps, settings=settings)
    headset.endpoint.response = endpoint_response("rail", 0.9, **SIREN)
    sounds_like(monkeypatch, "machine", 0.4, score=0.5)
    send(headset, 1)
    reclassify(headset)
    assert mode(headset) == "cancel"


def test_an_answer_with_unknown_kinds_is_rejected(headset: FakePlatform) -> None:
    headset.endpoint.response = endpoint_response("rail", 0.9, kinds={"flood": 1.0})
    send(headset, 1)
    reclassify(headset)
    assert delivered_labels(headset) == ("machine", "machine")
