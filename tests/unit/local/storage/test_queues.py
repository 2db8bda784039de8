"""The queue of the local platform: delivery, retries, dead letters, fairness."""

import json
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from local.storage.database import Database
from local.storage.queues import Message, SqliteQueue
from tests.fakes import Clock
from tests.processes import PATIENCE_S

MAX_RECEIVES, VISIBILITY_S = 3, 60.0


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> SqliteQueue:
    return SqliteQueue(Database(tmp_path / "anc.db"), "updates", MAX_RECEIVES, VISIBILITY_S, clock)


def bodies(messages: list[Message]) -> list[Any]:
    return [json.loads(message.body)["n"] for message in messages]


def test_messages_are_delivered_in_order(queue: SqliteQueue) -> None:
    for n in range(25):
        queue.put({"n": n})
    assert bodies(queue.receive(10)) == list(range(10))
    assert bodies(queue.receive(10)) == list(range(10, 20))
    assert bodies(queue.receive(10)) == list(range(20, 25))
    assert queue.receive(10) == []


def test_a_delivered_message_is_hidden_until_its_visibility_ends(queue: SqliteQueue, clock: Clock) -> None:
    queue.put({"n": 1})
    assert bodies(queue.receive(10)) == [1]
    clock.now += VISIBILITY_S - 0.01
    assert queue.receive(10) == []
    clock.now += 0.01
    (again,) = queue.receive(10)
    assert again.receives == 2, "it was not acknowledged"


def test_a_processed_message_is_not_delivered_again(queue: SqliteQueue, clock: Clock) -> None:
    queue.put({"n": 1})
    (message,) = queue.receive(10)
    queue.done(message)
    clock.now += 10 * VISIBILITY_S
    assert queue.receive(10) == []
    assert queue.depth() == 0


def test_a_failed_message_is_delivered_again_after_its_back_off(queue: SqliteQueue, clock: Clock) -> None:
    queue.put({"n": 1})
    (message,) = queue.receive(10)
    queue.failed(message, retry_s=4)
    clock.now += 3.9
    assert queue.receive(10) == []
    clock.now += 0.1
    assert bodies(queue.receive(10)) == [1]


def test_a_delayed_message_is_delivered_after_its_delay(queue: SqliteQueue, clock: Clock) -> None:
    queue.put({"n": 1}, delay_s=11)
    queue.put({"n": 2})
    assert bodies(queue.receive(10)) == [2]
    clock.now += 10.9
    assert queue.receive(10) == []
    clock.now += 0.1
    assert bodies(queue.receive(10)) == [1]


def test_a_message_that_failed_too_often_becomes_a_dead_letter(queue: SqliteQueue, clock: Clock) -> None:
    queue.put({"n": 1, "text": "ümläut"})
    for receives in range(1, MAX_RECEIVES + 1):
        (message,) = queue.receive(10)
        assert message.receives == receives
        clock.now += 1
        queue.failed(message, retry_s=0)
    queue.failed(message, retry_s=60)  # no retry is left
    assert queue.receive(10) == []
    assert [json.loads(body) for body in queue.dead()] == [{"n": 1, "text": "ümläut"}]
    assert queue.depth() == 0


def things(messages: list[Message]) -> list[Any]:
    return [json.loads(message.body)["thing"] for message in messages]


def test_headsets_take_turns_regardless_of_their_number_of_messages(queue: SqliteQueue) -> None:
    for n in range(500):
        queue.put({"thing": "rogue", "n": n})
    assert things(queue.receive(10)) == ["rogue"] * 10
    for n in range(2):
        for thing in ("a", "b"):
            queue.put({"thing": thing, "n": n})
    taken = [message for _ in range(3) for message in queue.receive(3)]
    assert sorted(things(taken)) == ["a", "a", "b", "b", *["rogue"] * 5][:9]
    for thing in ("a", "b", "rogue"):
        mine = [json.loads(message.body)["n"] for message in taken if f'"{thing}"' in message.body]
        assert mine == sorted(mine), "each keeps its order"


def test_owners_of_recordings_take_turns_regardless_of_their_number_of_uploads(queue: SqliteQueue) -> None:
    for n in range(20):
        queue.put({"Records": [n], "owner": "ann"})
    queue.put({"job": "b", "owner": "bob"})
    taken = [json.loads(message.body)["owner"] for _ in range(2) for message in queue.receive(1)]
    assert taken == ["ann", "bob"]


def test_a_full_queue_drops_the_oldest_message_of_the_same_headset(tmp_path: Path, clock: Clock) -> None:
    dropped: list[str] = []
    queue = SqliteQueue(
        Database(tmp_path / "anc.db"), "snapshots", clock=clock, max_per_thing=3, dropped=dropped.append
    )
    queue.put({"thing": "other", "n": 0})
    for n in range(10):
        queue.put({"thing": "rogue", "n": n})
    for n in range(5):
        queue.put({"n": n})
    assert dropped == ["snapshots"] * 7
    left = [json.loads(message.body) for _ in range(3) for message in queue.receive(10)]
    assert [each["n"] for each in left if each.get("thing") == "rogue"] == [7, 8, 9]
    assert [each["n"] for each in left if each.get("thing") == "other"] == [0]
    assert [each["n"] for each in left if "thing" not in each] == [0, 1, 2, 3, 4]


def test_messages_in_flight_are_not_dropped(tmp_path: Path, clock: Clock) -> None:
    queue = SqliteQueue(Database(tmp_path / "anc.db"), "snapshots", clock=clock, max_per_thing=1)
    queue.put({"thing": "h", "n": 0})
    (message,) = queue.receive(1)
    for n in (1, 2):
        queue.put({"thing": "h", "n": n})
    queue.failed(message, 0.0)
    assert bodies(queue.receive(10)) == [0, 2]


def test_messages_of_an_older_version_are_delivered_first(tmp_path: Path, clock: Clock) -> None:
    database = Database(tmp_path / "anc.db")
    database.connection.executescript("""
        CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, body TEXT NOT NULL,
            due REAL NOT NULL, receives INTEGER NOT NULL DEFAULT 0);
        INSERT INTO messages (queue, body, due) VALUES ('updates', '{"thing": "h", "n": 1}', 0);
    """)
    for _ in range(2):
        queue = SqliteQueue(database, "updates", clock=clock)
    queue.put({"thing": "h", "n": 2})
    assert queue.backlog() == (2, 0.0, 0)  # the age counts from the upgrade
    assert bodies(queue.receive(10)) == [1, 2]


def test_the_backlog_is_the_number_of_messages_and_the_age_of_the_oldest(
    queue: SqliteQueue, clock: Clock
) -> None:
    assert queue.backlog() == (0, 0.0, 0)
    queue.put({"n": 0}, delay_s=10)
    clock.now += 9
    assert queue.backlog() == (1, 0.0, 0)  # a delay is no wait
    queue.put({"n": 1})
    clock.now += 6
    assert queue.backlog() == (2, 6.0, 0)
    for _ in range(MAX_RECEIVES):  # neither a delivery nor a failure makes a message younger
        for message in queue.receive(10):
            queue.failed(message, retry_s=1)
        clock.now += 1
    assert queue.backlog() == (2, 6.0 + MAX_RECEIVES, 0)
    assert queue.receive(10) == []
    assert queue.backlog() == (0, 0.0, 2)


def test_messages_of_a_renamed_queue_are_received_under_its_new_name(tmp_path: Path, clock: Clock) -> None:
    database = Database(tmp_path / "anc.db")
    SqliteQueue(database, "opinions", clock=clock).put({"n": 1})
    assert bodies(SqliteQueue(database, "reclassifications", clock=clock).receive(10)) == [1]


def test_a_failing_message_does_not_block_the_others(queue: SqliteQueue, clock: Clock) -> None:
    queue.put({"n": "poison"})
    for n in range(5):
        queue.put({"n": n})
        for message in queue.receive(1) + queue.receive(1):
            if "poison" in message.body:
                queue.failed(message, retry_s=1)
            else:
                queue.done(message)
        clock.now += 1
    assert queue.receive(10) == []
    assert len(queue.dead()) == 1


def test_after_a_crash_messages_in_flight_are_due_at_once_and_delays_are_kept(
    tmp_path: Path, clock: Clock
) -> None:
    before = SqliteQueue(Database(tmp_path / "anc.db"), "updates", MAX_RECEIVES, VISIBILITY_S, clock)
    for n in range(3):
        before.put({"n": n})
    before.put({"n": "later"}, delay_s=30)
    before.receive(2)

    after = SqliteQueue(Database(tmp_path / "anc.db"), "updates", MAX_RECEIVES, VISIBILITY_S, clock)
    after.release()

    assert sorted(bodies(after.receive(10))) == [0, 1, 2]
    clock.now += 30
    assert bodies(after.receive(10)) == ["later"]


def test_queues_in_one_file_are_separate(tmp_path: Path, clock: Clock) -> None:
    database = Database(tmp_path / "anc.db")
    here, there = (SqliteQueue(database, name, 1, VISIBILITY_S, clock) for name in ("here", "there"))
    here.put({"n": 1})
    here.receive(10)
    there.release()
    assert (here.receive(10), here.dead()) == ([], []), "what is in flight here is none of its business"
    clock.now += VISIBILITY_S
    assert there.receive(10) == []
    assert there.depth() == 0
    assert here.receive(10) == []
    assert (len(here.dead()), len(there.dead())) == (1, 0)


def test_two_consumers_never_receive_the_same_message(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "anc.db"
    for n in range(60):
        SqliteQueue(Database(path), "updates", MAX_RECEIVES, VISIBILITY_S, clock).put({"n": n})
    taken: list[list[Any]] = [[], []]

    def consume(mine: list[Any]) -> None:
        queue = SqliteQueue(Database(path), "updates", MAX_RECEIVES, VISIBILITY_S, clock)
        while messages := queue.receive(3):
            mine += bodies(messages)

    threads = [threading.Thread(target=consume, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(taken[0] + taken[1]) == list(range(60))


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Random sends, receives, successes, failures, crashes and delays: every message ends exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.folder = TemporaryDirectory()
        self.database = Database(Path(self.folder.name) / "anc.db")
        self.queue = SqliteQueue(self.database, "any", MAX_RECEIVES, VISIBILITY_S, self.clock)
        self.sent = 0
        self.due: dict[int, float] = {}
        self.receives: dict[int, int] = {}
        self.held: dict[int, Message] = {}
        self.finished: set[int] = set()

    def teardown(self) -> None:
        self.database.connection.close()
        self.folder.cleanup()

    @rule(delay=st.sampled_from([0, 0, 5]))
    def send(self, delay: int) -> None:
        self.queue.put({"n": self.sent}, delay)
        self.due[self.sent] = self.clock.now + delay
        self.receives[self.sent] = 0
        self.sent += 1

    @rule(limit=st.integers(1, 4))
    def receive(self, limit: int) -> None:
        came = self.queue.receive(limit)
        for message in came:
            (n,) = bodies([message])
            assert n not in self.finished, "a processed message was delivered again"
            assert self.due[n] <= self.clock.now, "what is hidden or delayed does not come"
            self.receives[n] += 1
            assert message.receives == self.receives[n] <= MAX_RECEIVES
            self.due[n] = self.clock.now + VISIBILITY_S
            self.held[n] = message
        if len(came) < limit:
            left = {n for n, due in self.due.items() if due <= self.clock.now and n not in self.finished}
            assert all(self.receives[n] == MAX_RECEIVES for n in left), "what is due comes"

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        n = data.draw(st.sampled_from(sorted(self.held)))
        self.queue.done(self.held.pop(n))
        self.finished.add(n)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), retry_s=st.sampled_from([0.0, 2.0]))
    def fail(self, data: st.DataObject, retry_s: float) -> None:
        n = data.draw(st.sampled_from(sorted(self.held)))
        self.queue.failed(self.held.pop(n), retry_s)
        self.due[n] = self.clock.now + retry_s

    @rule()
    def crash(self) -> None:
        self.queue = SqliteQueue(self.database, "any", MAX_RECEIVES, VISIBILITY_S, self.clock)
        self.queue.release()
        self.held.clear()
        self.due = {n: self.clock.now if self.receives[n] else due for n, due in self.due.items()}

    @rule(seconds=st.sampled_from([1.0, 5.0, VISIBILITY_S]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.held = {n: message for n, message in self.held.items() if self.due[n] > self.clock.now}

    @invariant()
    def every_message_is_waiting_done_or_laid_aside(self) -> None:
        dead = [json.loads(body)["n"] for body in self.queue.dead()]
        assert len(dead) == len(set(dead))
        assert all(self.receives[n] == MAX_RECEIVES for n in dead)
        assert not set(dead) & self.finished
        assert self.queue.depth() + len(self.finished) + len(dead) == self.sent


AnyOrderOfEvents.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestInAnyOrderOfEventsEachMessageHasOneFate = AnyOrderOfEvents.TestCase
