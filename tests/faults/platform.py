"""A platform in one process whose queues are consumed as by SQS and Lambda, and whose process can end."""

import base64
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anc.ports import Dependencies, SessionCache
from anc.read_cache import ReadCache
from functions.anc_processor.handler import handler as anc_processor
from functions.audio_sender.handler import handler as audio_sender
from functions.classifier.handler import handler as classifier
from functions.recording_processor.handler import handler as recording_processor
from functions.routes import QUEUES
from local.lambda_context import LocalContext
from local.storage.database import Database
from local.storage.objects import FileObjects, arrival_event
from local.storage.queues import SqliteQueue, sqs_event
from tests.fakes import Clock, make_dependencies
from tests.faults.injection import PORTS, Faults, Killed

HANDLERS = {
    "anc_processor": anc_processor,
    "audio_sender": audio_sender,
    "classifier": classifier,
    "recording_processor": recording_processor,
}
DELIVERIES = ("at once", "late", "twice", "reversed")
MAX_ROUNDS = 2_000
MAX_REPEATS = 6  # of a request that gets no answer


class FaultyPlatform:
    """The platform on faulty ports, with a clock of its own.

    Parameters
    ----------
    folder : Path
    delivery : {"at once", "late", "twice", "reversed"}
        How messages are delivered. At once: that of a process that ended again after the restart, as by the
        local queue. Late: when its visibility timeout ends, after messages that came later, as by SQS. Twice:
        every message. Reversed: what a headset publishes, newest first.

    Attributes
    ----------
    updates : list of (float, str, dict)
        Time, thing and desired state of every update of a shadow.
    """

    def __init__(self, folder: Path, delivery: str = "at once", **settings: Any) -> None:
        self.clock = Clock()
        self.faults = Faults(self.clock)
        self.fake = make_dependencies(
            folder, self.clock, quota_devices=10_000, ml_confidence_threshold=1.0, **settings
        )
        self.delivery, self.twice = delivery, delivery == "twice"
        self._published: list[tuple[str, dict[str, Any]]] = []
        self._database = Database(folder / "anc.db")
        self.queues = {
            route.name: SqliteQueue(
                self._database, route.name, route.max_receives, route.visibility_s, clock=self.clock
            )
            for route in QUEUES
        }
        self.updates: list[tuple[float, str, dict[str, Any]]] = []
        objects = self.fake.deps.objects
        assert isinstance(objects, FileObjects)
        objects._created = self._arrived
        self._record_updates()
        self._ports = {name: self._port(name) for name in PORTS}
        self.deps = self._start()

    def _port(self, name: str) -> Any:
        return self.faults.wrap(name, self.queues.get(name) or getattr(self.fake.deps, name))

    def _record_updates(self) -> None:
        update = self.fake.deps.shadows.update

        def record(thing: str, desired: Any) -> None:
            update(thing, desired)
            self.updates.append((self.clock(), thing, dict(desired)))

        self.fake.deps.shadows.update = record  # type: ignore[method-assign]

    def _arrived(self, key: str, size: int) -> None:
        if key.startswith("uploads/"):
            self.queues["recordings"].put(arrival_event(key, size))

    def _start(self) -> Dependencies:
        return dataclasses.replace(
            self.fake.deps,
            **self._ports,
            session_cache=SessionCache(),
            read_cache=ReadCache(self.clock),
            fleet_cache=ReadCache(self.clock),
        )

    def restart(self) -> None:
        """Start a process after the last one ended."""
        self.faults.restart()
        self.deps = self._start()
        if self.delivery == "at once":
            for queue in self.queues.values():
                queue.release()

    def publish(self, kind: str, thing: str, payload: bytes) -> None:
        """Queue what a headset publishes, as the rule of AWS IoT does."""
        body = {"kind": kind, "thing": thing, "at": int(self.clock() * 1000), "payload": _base64(payload)}
        queue = "snapshots" if kind == "snapshot" else "reports"
        self._published += [(queue, body)] * (1 + self.twice)

    def request(self, act: Callable[[Dependencies], Any]) -> Any:
        """Act for a client that repeats a request until it gets an answer; return the answer."""
        for _ in range(MAX_REPEATS):
            try:
                return act(self.deps)
            except Killed:
                self.restart()
            except Exception as fault:
                if type(fault).__name__ != "OperationalError":
                    raise
        raise AssertionError("no answer")

    def enqueue(self) -> None:
        """Put what headsets published into the queues."""
        for queue, body in reversed(self._published) if self.delivery == "reversed" else self._published:
            self.queues[queue].put(body)
        self._published.clear()

    def run(self) -> None:
        """Consume all queues until they are empty."""
        self.enqueue()
        for _ in range(MAX_ROUNDS):
            if not any([self._consume(route.name) for route in QUEUES]):
                (due,) = self._database.connection.execute("SELECT min(due) FROM messages").fetchone()
                if due is None:
                    return
                self.clock.now = max(self.clock.now, due)
        raise AssertionError("the queues never become empty")

    def _consume(self, name: str) -> bool:
        queue, route = self.queues[name], next(route for route in QUEUES if route.name == name)
        messages = queue.receive(route.batch)
        if not messages:
            return False
        try:
            handler = HANDLERS[route.function]
            event = sqs_event(name, messages)
            if self.twice:
                handler(event, LocalContext(route.function), self.deps)
            answer = handler(event, LocalContext(route.function), self.deps)
            failures = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
            for message in messages:
                if str(message.id) in failures:
                    queue.failed(message, 1.0)
                else:
                    self._done(queue, message)
        except Killed:
            self.restart()
        return True

    def _done(self, queue: SqliteQueue, message: Any) -> None:
        try:
            self.faults.call(queue, f"queue {queue.name}", "done", message)
        except Exception:
            queue.failed(message, 1.0)

    def dead_letters(self) -> list[str]:
        """Return the bodies of all dead letters."""
        return [body for queue in self.queues.values() for body in queue.dead()]

    def transparent(self, thing: str) -> bool:
        """Return whether the headset's shadow ever desired transparency."""
        return any(name == thing and update["mode"] == "transparency" for _, name, update in self.updates)

    def desired(self, thing: str) -> dict[str, Any]:
        """Return the desired state in a headset's shadow."""
        document = self.fake.deps.shadows.get(thing)
        assert document is not None, "the shadow was never updated"
        return document["state"]["desired"]


def _base64(payload: bytes) -> str:
    return base64.b64encode(payload).decode()
