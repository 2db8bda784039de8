"""A headset that exceeds its share loses its own messages and does not delay other headsets."""

import json
from pathlib import Path
from typing import Any

import pytest

from anc.services.headsets import device_status, devices
from anc.services.headsets.devices import Registration
from functions.anc_processor.handler import handler
from functions.routes import QUEUES
from local.lambda_context import LocalContext
from local.storage.queues import Message, SqliteQueue, sqs_event
from tests.fakes import ALICE, FakePlatform
from tests.unit.functions.test_control_path import SECONDARY, message, published, snapshot

ROUTES = {route.name: route for route in QUEUES}


@pytest.fixture
def headsets(platform: FakePlatform) -> FakePlatform:
    for thing in ("rogue", "other"):
        devices.register(Registration(thing, SECONDARY, rate=16_000, taps=32), ALICE, platform.deps)
    return platform


def queue_of(platform: FakePlatform, folder: Path, name: str) -> SqliteQueue:
    def dropped(name: str) -> None:
        platform.deps.count(f"dropped_{name}")

    database = platform.updates._database
    route = ROUTES[name]
    return SqliteQueue(
        database, name, clock=platform.clock, max_per_thing=route.max_per_thing, dropped=dropped
    )


def work(platform: FakePlatform, queue: SqliteQueue) -> list[str]:
    """Process the next batch, as the queue's worker does; return the things of its messages."""
    messages = queue.receive(ROUTES[queue.name].batch)
    assert process(platform, messages) == []
    for each in messages:
        queue.done(each)
    return [json.loads(each.body)["thing"] for each in messages]


def process(platform: FakePlatform, messages: list[Message]) -> list[Any]:
    answer = handler(sqs_event("queue", messages), LocalContext("anc_processor"), platform.deps)
    return list(answer["batchItemFailures"])


def test_a_snapshot_is_processed_before_the_flood_of_another_headset(
    headsets: FakePlatform, tmp_path: Path
) -> None:
    queue = queue_of(headsets, tmp_path, "snapshots")
    for seq in range(1, 200):
        queue.put(message("rogue", snapshot(seq)))
    assert headsets.counts["dropped_snapshots"] == 199 - ROUTES["snapshots"].max_per_thing
    queue.put(message("other", snapshot(1)))
    for seq in range(200, 300):
        queue.put(message("rogue", snapshot(seq)))
    assert "other" in work(headsets, queue)
    known = {thing: headsets.deps.controls.get(thing) for thing in ("other", "rogue")}
    assert known["other"] is not None
    assert known["rogue"] is not None
    assert known["other"].seq == 1
    assert known["rogue"].seq == 299, "the newest messages of a flood are kept"
    assert queue.depth() == 0


def test_snapshots_beyond_a_headsets_share_are_dropped_and_recorded_for_its_owner(
    headsets: FakePlatform,
) -> None:
    share = headsets.deps.settings.headset_snapshots_per_minute
    damaged = [Message(n, json.dumps(message("rogue", b"x")), 1) for n in range(share)]
    assert process(headsets, damaged) == []
    assert headsets.counts["snapshots_refused_truncated"] == share
    more = [Message(n, json.dumps(message("rogue", snapshot(n))), 1) for n in range(1, 40)]
    assert process(headsets, more) == []
    assert headsets.counts["snapshots_refused_too_many"] == 39
    assert headsets.counts["snapshots_processed"] == 0
    noticed = device_status.find("rogue", headsets.deps)
    assert noticed.refused == share + 1, "recorded once a minute"
    assert noticed.refusal is not None
    assert noticed.refusal.message == "snapshot: dropped, the headset sent too many"
    assert process(headsets, [Message(1, json.dumps(message("other", snapshot(1))), 1)]) == []
    assert headsets.counts["snapshots_processed"] == 1


def test_a_flood_of_telemetry_does_not_use_up_a_headsets_share_of_snapshots(headsets: FakePlatform) -> None:
    share = headsets.deps.settings.headset_reports_per_minute
    lines = [Message(n, json.dumps(line), 1) for n, line in enumerate(telemetry("rogue", share + 30))]
    assert process(headsets, lines) == []
    assert headsets.counts["reports_refused_too_many"] == 30
    assert process(headsets, [Message(1, json.dumps(message("rogue", snapshot(1))), 1)]) == []
    assert headsets.counts["snapshots_processed"] == 1


def telemetry(thing: str, count: int) -> list[dict[str, Any]]:
    made = []
    for line in range(count):
        report = json.dumps({"battery": 0.5, "run": 1, "line": line}).encode()
        made.append(published("telemetry", thing, report))
    return made
