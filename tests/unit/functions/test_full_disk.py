"""On a full disk, requests that store something are refused in words, and all recovers by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from anc.records import Stream
from functions.ws_connect.handler import handler as ws_connect
from local.lambda_context import LocalContext
from local.lambda_events import socket_event
from local.storage.database import Database
from local.storage.faults import DatabaseUnavailable
from local.storage.queues import SqliteQueue
from tests.fakes import FakePlatform

Call = Callable[..., Any]
WHO = {"principalId": "alice", "user": "alice", "role": "listener", "scopes": ""}


@contextmanager
def full(platform: FakePlatform) -> Iterator[None]:
    """Allow the database no more pages than it has, and fill these."""
    connection = platform.deps.streams._database.connection  # type: ignore[attr-defined]
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    fill(platform)
    yield
    connection.execute(f"PRAGMA max_page_count = {pages + 10_000}")


@contextmanager
def read_only(platform: FakePlatform) -> Iterator[None]:
    """Let SQLite refuse every write of this thread, as on a disk that was mounted again without writing."""
    connection = platform.deps.streams._database.connection  # type: ignore[attr-defined]
    connection.execute("PRAGMA query_only = ON")
    yield
    connection.execute("PRAGMA query_only = OFF")


FAULTS = {"full": full, "read-only": read_only}


def fill(platform: FakePlatform) -> None:
    stream = Stream(
        key="",
        group="eve",
        mode="cancel",
        rate=16_000,
        channels=2,
        taps=16,
        mu=0.5,
        filter=bytes(3_000),
        created=1.0,
    )
    for size in (3_000, 300, 0):
        with suppress(DatabaseUnavailable):
            for number in range(10_000):
                platform.deps.streams.put(stream.replace(key=f"s-{size}-{number}", filter=bytes(size)))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_request_that_cannot_be_stored_is_refused_with_a_sentence(
    fault: str, call: Call, platform: FakePlatform
) -> None:
    with FAULTS[fault](platform):
        status, problem, _ = call("POST", "/api/sessions", {})
        assert (status, problem["code"]) == (503, "unavailable")
        assert "disk is full" in problem["detail"]
        assert call("GET", "/api/sessions")[0] == 200, "reads go on"
    assert call("POST", "/api/sessions", {})[0] == 201


def test_the_health_check_notices_a_disk_without_writes_and_its_end(
    call: Call, platform: FakePlatform
) -> None:
    with read_only(platform):
        status, health, _ = call("GET", "/health")
        assert (status, health["status"], health["ready"]) == (503, "failing", False)
        assert health["checks"]["tables"] == "ok"
        assert health["checks"]["writes"] == "DatabaseUnavailable"
    assert call("GET", "/health")[0] == 200


def test_the_health_check_writes_at_most_once_in_five_seconds(
    call: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    put = platform.deps.usages.put
    monkeypatch.setattr(platform.deps.usages, "put", lambda record: written.append(record.key) or put(record))
    for _ in range(3):
        assert call("GET", "/health")[0] == 200
    assert written == ["health"]
    platform.clock.now += 5.1
    assert call("GET", "/health")[0] == 200
    assert len(written) == 2


def test_a_socket_that_cannot_be_stored_is_refused_with_a_sentence(platform: FakePlatform) -> None:
    event = socket_event("CONNECT", "$connect", "c-1", 1.0, WHO, {})
    with read_only(platform):
        answer = ws_connect(event, LocalContext("ws_connect"), platform.deps)
        assert answer["statusCode"] == 503
        assert "disk is full" in answer["body"]
    assert ws_connect(event, LocalContext("ws_connect"), platform.deps)["statusCode"] == 200


def test_a_frame_that_cannot_be_stored_is_answered_with_an_error(say: Call, platform: FakePlatform) -> None:
    with full(platform):
        answer = say({"action": "start"})
        assert (answer["type"], answer["code"]) == ("error", "unavailable")
    assert say({"action": "start"})["type"] == "started"


def test_a_transaction_that_cannot_be_committed_does_not_block_the_next_one(platform: FakePlatform) -> None:
    database: Database = platform.deps.streams._database  # type: ignore[attr-defined]
    queue = SqliteQueue(database, "updates")
    with full(platform):
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                queue.put({"thing": "x" * 100_000})
        depth = queue.depth()
    queue.put({"thing": "left"})
    assert queue.depth() == depth + 1
