"""`anc.ports.Queue` on SQLite, and the worker that feeds a queue's function with SQS events."""

import hashlib
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger

from anc.ports import Backlog
from anc.schemas import messages
from anc.tracing import NO_TRACING, Tracing
from functions.queue_batch import TRACE
from functions.routes import QueueRoute
from local.storage.database import Database

logger = Logger(service="queue")
IDLE_S = 0.5
FORMER_NAMES = {"reclassifications": "opinions"}
# The turn after the last one of the sender, or the current turn of the queue if no message of it is waiting.
SEND = """
    INSERT INTO messages (queue, body, due, first_due, thing, trace, turn) SELECT ?1, ?2, ?3, ?3, ?4, ?5, max(
        coalesce((SELECT min(turn) FROM messages WHERE queue = ?1), 0),
        coalesce((SELECT max(turn) + 1 FROM messages WHERE queue = ?1 AND thing = ?4), 0))
"""
# Messages in flight and messages that wait for a retry are not dropped.
DROP = """
    DELETE FROM messages WHERE id IN (
        SELECT id FROM messages WHERE queue = ?1 AND thing = ?2 AND receives = 0
        ORDER BY turn DESC, id DESC LIMIT -1 OFFSET ?3)
"""


class Message(NamedTuple):
    """A message in flight: `receives` counts deliveries, this one included; `trace` is that of its sender."""

    id: int
    body: str
    receives: int
    trace: str = ""


class SqliteQueue:
    """A queue with visibility timeout, delay and dead letters. Delivery is at least once.

    Headsets take turns, and so do owners of recordings: a message waits for at most one message of each other
    sender, however many those have queued (start-time fair queueing). The field `thing` or `owner` of
    a message identifies its sender. Messages of one sender keep their order, as do those without a sender.

    Parameters
    ----------
    database : Database
    name : str
    max_receives : int
        Deliveries after which a failing message is moved to the dead letters.
    visibility_s : float
        Seconds for which a delivered message is hidden.
    max_per_thing : int
        Maximum number of waiting messages per headset, 0 for no limit. A further one drops the oldest.
    dropped, died : callable
        `dropped(name)` and `died(name)`, with the queue's name, for each dropped message and dead letter.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        max_receives: int = 5,
        visibility_s: float = 60.0,
        clock: Callable[[], float] = time.time,
        max_per_thing: int = 0,
        dropped: Callable[[str], None] = lambda name: None,
        died: Callable[[str], None] = lambda name: None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.name = name
        self.arrived = threading.Event()
        self._database = database
        self._max_receives = max_receives
        self._visibility_s = visibility_s
        self._clock = clock
        self._max_per_thing = max_per_thing
        self._dropped = dropped
        self._died = died
        self._tracing = tracing
        database.connection.executescript("""
            CREATE TABLE IF NOT EXISTS messages (
                id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, body TEXT NOT NULL,
                due REAL NOT NULL, receives INTEGER NOT NULL DEFAULT 0);
            CREATE INDEX IF NOT EXISTS messages_by_due ON messages (queue, due);
            CREATE TABLE IF NOT EXISTS dead_letters (
                id INTEGER PRIMARY KEY, queue TEXT NOT NULL, body TEXT NOT NULL, died REAL NOT NULL);
        """)
        columns = {row[1] for row in database.connection.execute("PRAGMA table_info(messages)")}
        for column in (
            "thing TEXT NOT NULL DEFAULT ''",
            "turn INTEGER NOT NULL DEFAULT 0",
            "trace TEXT NOT NULL DEFAULT ''",
            "first_due REAL NOT NULL DEFAULT 0",
        ):
            if column.partition(" ")[0] not in columns:  # a data folder of an older version
                database.connection.execute(f"ALTER TABLE messages ADD COLUMN {column}")
        if name in FORMER_NAMES:
            for table in ("messages", "dead_letters"):
                renamed = f"UPDATE {table} SET queue = ? WHERE queue = ?"  # noqa: S608  one of two constants
                database.connection.execute(renamed, (name, FORMER_NAMES[name]))
        database.connection.executescript("""
            CREATE INDEX IF NOT EXISTS messages_by_turn ON messages (queue, turn);
            CREATE INDEX IF NOT EXISTS messages_by_thing ON messages (queue, thing, turn);
            CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, first_due);
        """)
        database.connection.execute("UPDATE messages SET first_due = ? WHERE first_due = 0", (clock(),))

    def send(self, message: messages.Message, delay_s: int = 0) -> None:
        """See `anc.ports.Queue`."""
        sender = getattr(message, "thing", "") or getattr(message, "owner", "")
        self._add(messages.encode(message), sender, delay_s)

    def put(self, body: Mapping[str, Any], delay_s: int = 0) -> None:
        """Add a document of AWS IoT or S3, which put their own JSON into a queue."""
        self._add(json.dumps(body), str(body.get("thing") or body.get("owner") or ""), delay_s)

    def _add(self, body: str, thing: str, delay_s: int) -> None:
        dropped = 0
        with (
            self._tracing.span(f"send {self.name}", thing=thing),
            self._database.writing() as connection,
        ):
            values = (self.name, body, self._clock() + delay_s, thing, self._tracing.context())
            connection.execute(SEND, values)
            if thing and self._max_per_thing:
                dropped = connection.execute(DROP, (self.name, thing, self._max_per_thing)).rowcount
        self.arrived.set()
        for _ in range(dropped):
            self._dropped(self.name)

    def receive(self, limit: int) -> list[Message]:
        """Return up to `limit` due messages; move those that failed too often to the dead letters."""
        now = self._clock()
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO dead_letters SELECT id, queue, body, ? FROM messages"
                " WHERE queue = ? AND due <= ? AND receives >= ?",
                (now, self.name, now, self._max_receives),
            )
            dead = connection.execute(
                "DELETE FROM messages WHERE queue = ? AND due <= ? AND receives >= ?",
                (self.name, now, self._max_receives),
            ).rowcount
            rows = connection.execute(
                "UPDATE messages SET due = ?, receives = receives + 1 WHERE id IN"
                " (SELECT id FROM messages INDEXED BY messages_by_turn WHERE queue = ? AND due <= ?"
                " ORDER BY turn, id LIMIT ?)"
                " RETURNING id, body, receives, trace",
                (now + self._visibility_s, self.name, now, limit),
            ).fetchall()
        for _ in range(dead):
            self._died(self.name)
        return sorted(Message(*row) for row in rows)

    def done(self, message: Message) -> None:
        """Delete a processed message."""
        self._database.connection.execute("DELETE FROM messages WHERE id = ?", (message.id,))

    def failed(self, message: Message, retry_s: float) -> None:
        """Return a message: it is delivered again in `retry_s` seconds, or becomes a dead letter."""
        wait_s = retry_s if message.receives < self._max_receives else 0.0
        self._database.connection.execute(
            "UPDATE messages SET due = ? WHERE id = ?", (self._clock() + wait_s, message.id)
        )

    def depth(self) -> int:
        """Return the number of messages that are waiting or in flight."""
        sql = "SELECT count(*) FROM messages WHERE queue = ?"
        return int(self._database.connection.execute(sql, (self.name,)).fetchone()[0])

    def backlog(self) -> Backlog:
        """Return the number of messages and of dead letters, and the age of the oldest message."""
        sql = (
            "SELECT count(*), min(first_due), (SELECT count(*) FROM dead_letters WHERE queue = ?1)"
            " FROM messages WHERE queue = ?1"
        )
        messages, oldest, dead = self._database.connection.execute(sql, (self.name,)).fetchone()
        return Backlog(messages, max(0.0, self._clock() - oldest) if messages else 0.0, dead)

    def dead(self) -> list[str]:
        """Return the bodies of the dead letters."""
        sql = "SELECT body FROM dead_letters WHERE queue = ? ORDER BY id"
        return [body for (body,) in self._database.connection.execute(sql, (self.name,))]

    def dead_letters(self, limit: int) -> list[tuple[int, str, float]]:
        """Return id, body and time of death of up to `limit` dead letters, the oldest first."""
        sql = "SELECT id, body, died FROM dead_letters WHERE queue = ? ORDER BY died, id LIMIT ?"
        return self._database.connection.execute(sql, (self.name, limit)).fetchall()

    def redrive(self, id: int, body: Mapping[str, Any]) -> None:
        """Queue a document in place of a dead letter, as if it were new. Has no effect if it is gone."""
        with self._database.writing() as connection:
            sql = "DELETE FROM dead_letters WHERE queue = ? AND id = ?"
            if connection.execute(sql, (self.name, id)).rowcount:
                sender = str(body.get("thing") or body.get("owner") or "")
                connection.execute(SEND, (self.name, json.dumps(body), self._clock(), sender, ""))
        self.arrived.set()

    def release(self) -> None:
        """Make messages in flight due again, after a restart. Call it before workers start."""
        self._database.connection.execute(
            "UPDATE messages SET due = ? WHERE queue = ? AND receives > 0", (self._clock(), self.name)
        )


class QueueWorker(threading.Thread):
    """Poll a queue and call its function with SQS batches, like a Lambda event source mapping."""

    def __init__(
        self, queue: SqliteQueue, route: QueueRoute, invoke: Callable[[dict[str, Any]], Any]
    ) -> None:
        super().__init__(name=f"queue-{queue.name}", daemon=True)
        self._queue = queue
        self._route = route
        self._invoke = invoke
        self._stopping = threading.Event()

    def run(self) -> None:
        """Process messages until stopped."""
        while not self._stopping.is_set():
            self._queue.arrived.clear()
            try:
                messages = self._queue.receive(self._route.batch)
                self._deliver(messages)
            except sqlite3.Error:  # locked too long or disk full; received messages become due again
                logger.exception("the queue's table cannot be read or written", queue=self._queue.name)
                messages = []
            if not messages:
                self._queue.arrived.wait(IDLE_S)

    def stop(self) -> None:
        """Stop after the current batch."""
        self._stopping.set()
        self._queue.arrived.set()
        self.join(timeout=10)

    def _deliver(self, messages: list[Message]) -> None:
        if not messages:
            return
        try:
            answer = self._invoke(sqs_event(self._queue.name, messages)) or {}
            failures = {item["itemIdentifier"] for item in answer.get("batchItemFailures", [])}
        except Exception:
            logger.exception("the function failed the whole batch")
            failures = {str(message.id) for message in messages}
        for message in messages:
            if str(message.id) in failures:
                self._queue.failed(message, retry_s=min(0.2 * 2**message.receives, self._route.visibility_s))
            else:
                self._queue.done(message)


def sqs_event(queue: str, messages: list[Message]) -> dict[str, Any]:
    """Return the event that Lambda gets for a batch of SQS messages."""
    return {
        "Records": [
            {
                "messageId": str(message.id),
                "receiptHandle": uuid.uuid4().hex,
                "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": str(message.receives),
                    "SentTimestamp": str(int(time.time() * 1000)),
                    "SenderId": "local",
                    "ApproximateFirstReceiveTimestamp": str(int(time.time() * 1000)),
                },
                "messageAttributes": {TRACE: {"stringValue": message.trace, "dataType": "String"}}
                if message.trace
                else {},
                "md5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:local:000000000000:{queue}",
                "awsRegion": "local",
            }
            for message in messages
        ]
    }
