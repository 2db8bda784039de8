"""Malformed messages and messages of former formats, as the functions receive them from their queues."""

import base64
import json
from pathlib import Path

import pytest

from anc.schemas.messages import ControlChanged, encode
from anc.services.headsets import device_status, devices, telemetry
from anc.services.headsets.devices import Registration
from functions.audio_sender.handler import handler as audio_sender
from functions.routes import QUEUES
from local.lambda_context import LocalContext
from local.storage.database import Database
from local.storage.queues import SqliteQueue
from tests.fakes import ALICE, FakePlatform
from tests.unit.functions.test_control_path import (
    RATE,
    SECONDARY,
    TAPS,
    batch,
    failures,
    message,
    process,
    snapshot,
)


@pytest.fixture
def headsets(platform: FakePlatform) -> FakePlatform:
    for thing in ("left", "right"):
        devices.register(Registration(thing, SECONDARY, rate=RATE, taps=TAPS), ALICE, platform.deps)
    return platform


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "{}",
        "[]",
        '{"thing": "left"}',
        '{"thing": "left", "data": 7}',
        '{"kind": "fax", "thing": "left", "payload": ""}',
        '{"kind": "control_changed", "thing": "left"}',
        '{"kind": "snapshot", "thing": "left", "payload": "not base64!"}',
        '{"kind": "telemetry", "thing": "left", "payload": "e30="}',
        '{"kind": "presence", "thing": "left", "payload": "AA=="}',
        '{"Records": [{"s3": {}}]}',
    ],
)
def test_a_malformed_message_fails_alone_and_ends_in_the_dead_letter_queue(
    headsets: FakePlatform, body: str
) -> None:
    assert process(headsets, body, message("left", snapshot(1))) == ["0"]
    assert headsets.deps.controls.get("left") is not None


def test_a_failed_message_is_logged_with_its_reason_and_without_its_content(
    headsets: FakePlatform, caplog: pytest.LogCaptureFixture
) -> None:
    process(headsets, '{"kind": "control_changed", "thing": "secret-content"}')
    assert "message failed" in caplog.text
    assert "Invalid value 'control_changed'" in caplog.text
    assert "secret-content" not in caplog.text


@pytest.mark.parametrize("body", ["", "{}", "[1]", '{"kind": "fax"}', '{"kind": "path", "thing": "left"}'])
def test_a_malformed_update_fails_alone_and_ends_in_the_dead_letter_queue(
    headsets: FakePlatform, body: str
) -> None:
    process(headsets, message("left", snapshot(1)))
    event = batch(body, encode(ControlChanged("left")))
    assert failures(audio_sender(event, LocalContext("audio_sender"), headsets.deps)) == ["0"]
    assert headsets.deps.shadows.get("left") is not None


def test_messages_of_the_former_format_are_processed_after_an_upgrade(headsets: FakePlatform) -> None:
    data = base64.b64encode(snapshot(1)).decode()
    went = base64.b64encode(
        b'{"clientId": "left", "timestamp": 1, "eventType": "connected", "sessionIdentifier": "s"}'
    ).decode()
    waiting = [
        f'{{"data": "{data}", "thing": "left", "at": 1800000000000}}',
        '{"report": "eyJiYXR0ZXJ5IjogMC41fQ==", "thing": "left", "at": 1800000000000}',
        f'{{"presence": "{went}", "thing": "left"}}',
    ]
    assert process(headsets, *waiting) == []
    assert headsets.messages() == [ControlChanged("left", 1_800_000_000.0)]
    assert telemetry.latest("left", ALICE, headsets.deps)[1].battery == 0.5
    assert device_status.find("left", headsets.deps).online
    event = batch('{"thing": "left"}')
    assert failures(audio_sender(event, LocalContext("audio_sender"), headsets.deps)) == []
    assert headsets.deps.shadows.get("left") is not None


def test_on_one_machine_a_malformed_message_is_a_dead_letter_after_the_last_attempt(
    headsets: FakePlatform, tmp_path: Path
) -> None:
    route = next(route for route in QUEUES if route.name == "snapshots")
    queue = SqliteQueue(Database(tmp_path / "anc.db"), route.name, route.max_receives, clock=headsets.clock)
    queue.put({"kind": "fax", "thing": "left"})
    for _ in range(route.max_receives):
        (received,) = queue.receive(10)
        assert process(headsets, received.body) == ["0"]
        queue.failed(received, retry_s=0)
    assert queue.receive(10) == []
    assert [json.loads(body) for body in queue.dead()] == [{"kind": "fax", "thing": "left"}]
