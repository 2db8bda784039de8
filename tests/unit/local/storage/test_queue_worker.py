"""The queue worker, which calls a function with batches like Lambda's event source mapping."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.routes import QueueRoute
from local.storage.database import Database
from local.storage.queues import Message, QueueWorker, SqliteQueue, sqs_event
from tests.processes import PATIENCE_S

MAX_RECEIVES, VISIBILITY_S = 3, 60.0
ROUTE = QueueRoute("updates", "audio_sender", batch=2, max_receives=MAX_RECEIVES)


@pytest.fixture
def queue(tmp_path: Path) -> SqliteQueue:
    return SqliteQueue(Database(tmp_path / "anc.db"), "updates", MAX_RECEIVES, VISIBILITY_S)


@pytest.fixture
def started() -> Iterator[Callable[..., QueueWorker]]:
    """Return `started(queue, function)`, which starts a worker with batches of two."""
    workers = []

    def start(queue: SqliteQueue, function: Callable[[dict[str, Any]], Any]) -> QueueWorker:
        worker = QueueWorker(queue, ROUTE, function)
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        worker.stop()


class Function:
    """A fake Lambda function that records its messages; `fate` decides which ones fail."""

    def __init__(self, fate: Callable[[Any], bool] = lambda n: True, expected: int = 1) -> None:
        self.fate = fate
        self.batches: list[list[Any]] = []
        self.all_done = threading.Event()
        self._left = expected

    def __call__(self, event: dict[str, Any]) -> Any:
        numbers = {record["messageId"]: json.loads(record["body"])["n"] for record in event["Records"]}
        self.batches.append(list(numbers.values()))
        failures = [name for name, n in numbers.items() if not self.fate(n)]
        self._left -= len(numbers) - len(failures)
        if self._left == 0:
            self.all_done.set()
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failures]}


def test_the_function_gets_waiting_and_new_messages_in_batches(
    queue: SqliteQueue, started: Callable[..., QueueWorker]
) -> None:
    function = Function(expected=5)
    for n in range(4):
        queue.put({"n": n})
    worker = started(queue, function)
    queue.put({"n": 4})
    assert function.all_done.wait(PATIENCE_S)
    worker.stop()
    assert [n for batch in function.batches for n in batch] == [0, 1, 2, 3, 4]
    assert max(map(len, function.batches)) <= 2
    assert queue.depth() == 0


def test_only_the_reported_failures_of_a_batch_are_delivered_again(
    queue: SqliteQueue, started: Callable[..., QueueWorker]
) -> None:
    tries: dict[Any, int] = {}

    def fails_once(n: Any) -> bool:
        tries[n] = tries.get(n, 0) + 1
        return n != "second time lucky" or tries[n] == 2

    function = Function(fails_once, expected=2)
    queue.put({"n": "second time lucky"})
    queue.put({"n": "fine"})
    worker = started(queue, function)
    assert function.all_done.wait(PATIENCE_S)
    worker.stop()
    assert tries == {"second time lucky": 2, "fine": 1}
    assert queue.depth() == 0


def test_the_back_off_doubles_with_every_failure(queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    failed = queue.failed

    def without_waiting(message: Message, retry_s: float) -> None:
        waits.append(retry_s)
        failed(message, retry_s=0)

    monkeypatch.setattr(queue, "failed", without_waiting)
    laid_aside = threading.Event()

    def always_failing(event: dict[str, Any]) -> Any:
        if len(waits) == MAX_RECEIVES - 1:
            laid_aside.set()
        raise RuntimeError("no")

    queue.put({"n": 1})
    worker = QueueWorker(queue, ROUTE, always_failing)
    worker.start()
    assert laid_aside.wait(PATIENCE_S)
    worker.stop()
    assert waits == pytest.approx([0.4, 0.8, 1.6])


def test_a_function_that_crashes_fails_its_batch_and_the_worker_continues(
    queue: SqliteQueue, started: Callable[..., QueueWorker]
) -> None:
    function = Function(expected=2)
    crashes = iter([RuntimeError("out of memory")])

    def crashing_once(event: dict[str, Any]) -> Any:
        for crash in crashes:
            raise crash
        return function(event)

    queue.put({"n": 1})
    queue.put({"n": 2})
    worker = started(queue, crashing_once)
    assert function.all_done.wait(PATIENCE_S)
    worker.stop()
    assert sorted(n for batch in function.batches for n in batch) == [1, 2]
    assert queue.dead() == []


def test_a_temporary_database_error_does_not_end_the_worker(
    queue: SqliteQueue, started: Callable[..., QueueWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = queue.receive
    failed = threading.Event()

    def locked_once(limit: int) -> list[Message]:
        monkeypatch.setattr(queue, "receive", receive)
        failed.set()
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(queue, "receive", locked_once)
    function = Function()
    started(queue, function)
    assert failed.wait(PATIENCE_S)
    queue.put({"n": 1})
    assert function.all_done.wait(PATIENCE_S)


def test_stopping_waits_for_the_current_batch(queue: SqliteQueue) -> None:
    started, may_end = threading.Event(), threading.Event()
    ended: list[bool] = []

    def slow(event: dict[str, Any]) -> None:
        started.set()
        assert may_end.wait(PATIENCE_S)
        ended.append(True)

    queue.put({"n": 1})
    worker = QueueWorker(queue, ROUTE, slow)
    worker.start()
    assert started.wait(PATIENCE_S)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    may_end.set()
    stopping.join(PATIENCE_S)
    assert ended == [True]
    assert queue.depth() == 0


def test_a_batch_is_an_sqs_event() -> None:
    (record,) = sqs_event("updates", [Message(7, '{"n": 1}', 2)])["Records"]
    assert (record["messageId"], record["body"], record["eventSource"]) == ("7", '{"n": 1}', "aws:sqs")
    assert record["attributes"]["ApproximateReceiveCount"] == "2"
    assert record["eventSourceARN"].endswith(":updates")
    assert record["md5OfBody"] == "96d730b7a405ed0e9cb1068b43e06fe4"
