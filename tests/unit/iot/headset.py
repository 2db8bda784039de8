"""A headset for tests: an agent with a simulated ear and transport, and a clock that the test controls."""

import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from anc.ports import Credentials
from anc.schemas.shadow import FilterDocument, float16, merge
from anc.schemas.snapshot import Snapshot
from iot.agent import Agent
from iot.controller import Block, Controller
from iot.store import PathStore
from tests.processes import PATIENCE_S, until

RATE = 16_000
BLOCK = 256
PREFIX = "$aws/things/h1/shadow/name/anc/"
SNAPSHOT = "$aws/rules/anc_snapshot/anc/h1/snapshot"
SECONDARY = np.array([0.0, 0.0, 0.8, 0.3], np.float32)
PRIMARY = np.array([0.0, 0.0, 0.0, 0.7, 0.2], np.float32)
GOOD = np.array([0.0, 0.85, -0.1], np.float32)
NOWHERE = Credentials("", "", "", "", "127.0.0.1", 1)


class FakeTransport:
    """A transport whose other end is the test."""

    def __init__(self, thing: str, credentials: Credentials, when_online: Callable[[], None]) -> None:
        self.online = threading.Event()
        self.sent: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.version = 0
        self.reported: dict[str, Any] = {}
        self._handlers: dict[str, Any] = {}
        self._when_online = when_online

    def subscribe(self, topic: str, handler: Any) -> None:
        self._handlers[topic] = handler

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.online.clear()

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.online.is_set():
            self.sent.put((topic, payload))
        return self.online.is_set()

    def connect(self, desired: Any = None, reported: Any = None) -> None:
        self.online.set()
        self._when_online()
        self.version += 1
        state = {"desired": desired or {}, "reported": reported or {}}
        self._deliver("get/accepted", {"state": state, "version": self.version})

    def send_delta(self, **desired: Any) -> None:
        self.version += 1
        self._deliver("update/delta", {"state": desired, "version": self.version})

    def _deliver(self, stub: str, document: Any) -> None:
        self._handlers[PREFIX + stub](json.dumps(document).encode())

    def wait_report(self, **expected: Any) -> dict[str, Any]:
        """Return the reported state after the next report that leaves it with all of `expected`."""
        while True:
            topic, _ = self._next_sent()
            if topic == PREFIX + "update" and self.reported | expected == self.reported:
                return dict(self.reported)

    def wait_snapshot(self) -> Snapshot:
        """Return the next snapshot."""
        while True:
            topic, payload = self._next_sent()
            if topic == SNAPSHOT:
                return Snapshot.parse(payload)

    def _next_sent(self) -> tuple[str, bytes]:
        topic, payload = self.sent.get(timeout=PATIENCE_S)
        if topic == PREFIX + "update":
            self.reported = merge(self.reported, json.loads(payload)["state"]["reported"])
        return topic, payload


class FakeDetector:
    """A detector that the test controls."""

    def __init__(self) -> None:
        self.holding = False
        self.failing = False

    def process(self, block: np.ndarray) -> None:
        if self.failing:
            raise RuntimeError("out of memory")


class Headset:
    """An agent with a simulated ear."""

    def __init__(
        self,
        folder: Path,
        private: bool = False,
        firmware: str = "",
        environment: str = "",
        path: PathStore | None = None,
    ) -> None:
        self.controller = Controller(RATE, 64)
        self.emergency_detector = FakeDetector()
        self.agent = Agent(
            "h1",
            NOWHERE._replace(environment=environment),
            self.controller,
            SECONDARY,
            RATE,
            folder,
            self.emergency_detector,
            private=private,
            taps=64,
            firmware=firmware,
            path=path,
            make_transport=FakeTransport,
        )
        self.transport: FakeTransport = self.agent._transport  # type: ignore[assignment]
        self.primary = PRIMARY
        self.level = 0.0
        self.dead: int | None = None  # 0: the reference microphone, 1: the error microphone
        self._rng = np.random.default_rng(0)
        self._x = np.zeros(64, np.float32)
        self._y = np.zeros(64, np.float32)
        self.agent.start()

    def run(self, seconds: float) -> None:
        """Let time pass; orders given up to now are mark_applied."""
        for _ in range(int(seconds * RATE / BLOCK)):
            sound = self.level * self._rng.standard_normal(BLOCK).astype(np.float32)
            x = np.zeros_like(sound) if self.dead == 0 else sound
            y = self.controller.process(x, at=float("inf"))
            self._x, self._y = np.concatenate([self._x, sound])[-320:], np.concatenate([self._y, y])[-320:]
            d = np.convolve(self._x, self.primary)[self._x.size - BLOCK : self._x.size]
            e = d - np.convolve(self._y, SECONDARY)[self._y.size - BLOCK : self._y.size]
            e = np.full_like(e, 0.1) if self.dead == 1 else e
            self.agent.process(Block(x, e, y, self.controller.active, self.controller.steady))

    def play(self, w: np.ndarray, seq: int) -> str:
        """Send a filter, wait until the headset plays it, and return its id."""
        document = filter_document(w, seq)
        self.transport.send_delta(filter=document)
        until(lambda: self.agent.status.filter_id == document["id"])
        return str(document["id"])


def filter_document(w: np.ndarray, seq: int, rate: int = RATE) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(FilterDocument.of(float16(w), seq, rate))
    return document
