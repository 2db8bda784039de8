"""Snapshots in doubt: named at once, named again by the endpoint, as long as they are the latest."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anc.dsp import Statistics
from anc.noise import summary
from anc.ports import Conflict, EndpointUnavailable
from anc.records import Watch
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
from tests.unit.functions.test_reclassification import said
from tests.unit.services.test_control import RATE, SECONDARY, TAPS, THING, noise, snapshot


@pytest.fixture
def headset(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    """A headset that somebody watches, on a platform with an endpoint; its noise is heard as told."""
    platform = make_dependencies(tmp_path, clock)
    platform.endpoint.says = said("rail", 0.9)
    devices.register(Registration(THING, SECONDARY.tolist(), rate=RATE, taps=TAPS), ALICE, platform.deps)
    platform.deps.watches.put(Watch(key=f"{THING}#c", group=THING, connection="c"))
    sounds_like(monkeypatch, "machine", 0.4)
    return platform


def sounds_like(monkeypatch: pytest.MonkeyPatch, label: str, confidence: float) -> None:
    heard = Detection(NoisePrediction(label, confidence), EmergencyState(False, 0.0), 0.0)
    monkeypatch.setattr(detection, "detect_in_snapshot", lambda snapshot, deps: heard)


def send(headset: FakePlatform, seq: int, seed: int | None = None) -> None:
    control.process_snapshot(THING, snapshot(seq, noise(1, seed=seed or seq)), headset.deps)


def reconsider(headset: FakePlatform) -> list[Any]:
    """Have the classifier work through the doubts that wait; returns what it gives back."""
    messages = headset.reclassifications.receive(10)
    if not messages:
        return []
    answer = handler(sqs_event("opinions", messages), LocalContext("classifier"), headset.deps)
    failed = answer["batchItemFailures"]
    for message in messages:
        if {"itemIdentifier": str(message.id)} not in failed:
            headset.reclassifications.done(message)
    return list(failed)


def told(headset: FakePlatform) -> tuple[str, str]:
    """Deliver what is due; returns the noise as the shadow and as the watcher have it."""
    for message in headset.updates.receive(10):
        control.deliver(json.loads(message.body)["thing"], headset.deps)
        headset.updates.done(message)
    document = headset.deps.shadows.get(THING)
    assert document is not None
    watched = json.loads(headset.sockets.posted[-1][1])
    return document["state"]["desired"]["noise"]["label"], watched["noise"]["label"]


def test_the_filter_goes_out_at_once_and_the_second_opinion_follows(headset: FakePlatform) -> None:
    send(headset, 1)
    assert headset.endpoint.asked == [], "the first filter waits for nobody"
    assert told(headset) == ("machine", "machine")
    first = headset.deps.controls.get(THING)
    assert first is not None
    assert first.filters

    assert reconsider(headset) == []
    assert told(headset) == ("rail", "rail")
    renamed = headset.deps.controls.get(THING)
    assert renamed is not None
    assert (renamed.noise, renamed.confidence, renamed.filters) == ("rail", 0.9, first.filters)


def test_the_endpoint_hears_the_reference_microphone_of_the_snapshot(headset: FakePlatform) -> None:
    send(headset, 1)
    reconsider(headset)
    question = json.loads(headset.endpoint.asked[0])
    parsed = Snapshot.parse(snapshot(1, noise(1, seed=1)))
    assert parsed.pcm is not None
    assert question["rate"] == RATE
    assert base64.b64decode(question["pcm"]) == parsed.pcm[:, 0].tobytes()


def test_an_opinion_on_a_snapshot_that_is_not_the_latest_any_more_changes_nothing(
    headset: FakePlatform,
) -> None:
    send(headset, 1)
    waiting = headset.reclassifications.receive(10)
    send(headset, 2)
    before = headset.deps.controls.get(THING)
    handler(sqs_event("opinions", waiting), LocalContext("classifier"), headset.deps)
    assert headset.deps.controls.get(THING) == before
    assert headset.endpoint.asked == [], "nor is anybody asked"
    assert headset.counts["opinions_too_late"] == 1


def test_one_that_is_overtaken_while_it_is_asked_for_changes_nothing(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(headset, 1)
    answer = headset.endpoint.invoke

    def slow(request: bytes) -> bytes:
        send(headset, 2)
        return answer(request)

    monkeypatch.setattr(headset.endpoint, "invoke", slow)
    reconsider(headset)
    latest = headset.deps.controls.get(THING)
    assert latest is not None
    assert (latest.seq, latest.noise) == (2, "machine")


def test_one_whose_write_meets_another_comes_back_and_is_tried_again(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(headset, 1)
    put = headset.deps.controls.put

    def conflict(record: Any) -> Any:
        monkeypatch.setattr(headset.deps.controls, "put", put)
        raise Conflict

    monkeypatch.setattr(headset.deps.controls, "put", conflict)
    assert len(reconsider(headset)) == 1
    headset.clock.now += 61
    assert reconsider(headset) == []
    assert told(headset) == ("rail", "rail")


def test_an_opinion_delivered_twice_is_given_once(headset: FakePlatform) -> None:
    send(headset, 1)
    messages = headset.reclassifications.receive(10)
    for _ in range(2):
        handler(sqs_event("opinions", messages), LocalContext("classifier"), headset.deps)
    assert headset.counts["opinions_given"] == 1


def test_who_is_sure_asks_nobody(headset: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds_like(monkeypatch, "machine", 0.7)
    send(headset, 1)
    sounds_like(monkeypatch, "quiet", 0.5)
    send(headset, 2)
    assert headset.reclassifications.depth() == 0


def test_without_an_endpoint_nobody_is_asked(headset: FakePlatform) -> None:
    headset.endpoint.says = None
    send(headset, 1)
    assert headset.reclassifications.depth() == 0


def test_an_endpoint_that_fails_leaves_the_first_name_and_the_queue_empty(headset: FakePlatform) -> None:
    headset.endpoint.says = EndpointUnavailable("HTTP 500")
    send(headset, 1)
    assert reconsider(headset) == []
    assert told(headset) == ("machine", "machine")
    assert headset.reclassifications.depth() == 0


def test_a_steady_noise_keeps_the_name_that_the_endpoint_gave_it(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(headset, 1)
    reconsider(headset)
    names = []
    for seq in (2, 3):
        send(headset, seq)
        names.append(told(headset)[1])
        reconsider(headset)
        names.append(told(headset)[1])
    assert names == ["rail"] * 4
    sounds_like(monkeypatch, "road", 0.4)
    send(headset, 4)
    assert told(headset)[1] == "road"


def test_in_privacy_mode_nothing_is_asked_since_no_sound_was_sent(headset: FakePlatform) -> None:
    x, d = noise(1, seed=1), noise(1, seed=2)
    statistics = Statistics.measure(x, d, SECONDARY, TAPS, RATE).to_bytes()
    private = Snapshot(1, RATE, x.size, "", statistics=statistics, summary=summary(x, RATE))
    control.process_snapshot(THING, private.encode(), headset.deps)
    known = headset.deps.controls.get(THING)
    assert known is not None
    assert known.noise == "machine"
    assert headset.reclassifications.depth() == 0


@pytest.mark.parametrize("message", ["", "{}", '{"thing": "h"}', "[1]", '{"thing": 1, "seq": "x"}'])
def test_what_is_no_doubt_is_dropped_and_not_tried_again(headset: FakePlatform, message: str) -> None:
    event = {"Records": [{"messageId": "1", "body": message, "eventSource": "aws:sqs"}]}
    assert handler(event, LocalContext("classifier"), headset.deps) == {"batchItemFailures": []}


def test_a_doubt_at_the_highest_rate_fits_into_a_message(headset: FakePlatform) -> None:
    pcm = (3000 * np.random.default_rng(1).standard_normal((32_000, 2))).astype(np.int16)
    reclassification.request(
        THING, Snapshot(1, 96_000, 32_000, "", pcm=pcm), NoisePrediction("rail", 0.1), headset.deps
    )
    (message,) = headset.reclassifications.receive(1)
    assert len(message.body) < 256 * 1024
    assert json.loads(message.body)["question"]["rate"] == 16_000
