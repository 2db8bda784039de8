"""A simulated connection to the cloud with latency, loss, duplicates and reordering."""

import heapq
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class NetworkConditions(NamedTuple):
    """Latency and faults, the same in both directions.

    Attributes
    ----------
    one_way_s : float
        Latency of a message.
    loss : float, 0 to 1
        Share of messages that are lost and sent again after `resend_s`.
    duplicates : float, 0 to 1
        Share that arrives a second time, `resend_s` later, after newer ones.
    delayed : float, 0 to 1
        Share that takes `resend_s` longer.
    resend_s : float
        Time until an unacknowledged message is sent again.
    """

    one_way_s: float = 0.05
    loss: float = 0.0
    duplicates: float = 0.0
    delayed: float = 0.0
    resend_s: float = 1.0


GOOD_CONDITIONS = NetworkConditions()


class SimulatedNetwork:
    """A transport between an agent and a platform in simulated time.

    Parameters
    ----------
    on_publish : callable
        `on_publish(topic, payload)` receives the messages of the headset.
    conditions : NetworkConditions
    seed : int
        Random seed of the faults.
    """

    def __init__(
        self,
        on_publish: Callable[[str, bytes], None],
        conditions: NetworkConditions = GOOD_CONDITIONS,
        seed: int = 0,
    ) -> None:
        self.online = threading.Event()
        self.when_online: Callable[[], None] = lambda: None
        self.now = 0.0
        self.conditions = conditions
        self._on_publish = on_publish
        self._rng = np.random.default_rng(seed)
        self._handlers: dict[str, Callable[[bytes], None]] = {}
        self._in_flight: list[tuple[float, int, Callable[[], None]]] = []
        self._sent = 0

    def subscribe(self, topic: str, handler: Callable[[bytes], None]) -> None:
        """See `iot.transport.Transport`."""
        self._handlers[topic] = handler

    def start(self) -> None:
        """See `iot.transport.Transport`."""
        self.online.set()
        self.when_online()

    def stop(self) -> None:
        """See `iot.transport.Transport`."""
        self.online.clear()

    def publish(self, topic: str, payload: bytes) -> bool:
        """See `iot.transport.Transport`."""
        if self.online.is_set():
            self._send(lambda: self._on_publish(topic, payload))
        return self.online.is_set()

    def publish_to_headset(self, topic: str, payload: bytes) -> None:
        """Publish a message of the platform; it arrives if the headset subscribed and is online then."""
        handler = self._handlers.get(topic)
        if handler:
            self._send(lambda: handler(payload) if self.online.is_set() else None)

    def advance_to(self, now: float) -> None:
        """Set the time and deliver the messages that are due."""
        while self._in_flight and self._in_flight[0][0] <= now:
            self.now, _, deliver = heapq.heappop(self._in_flight)
            deliver()
        self.now = now

    def _send(self, deliver: Callable[[], None]) -> None:
        conditions = self.conditions
        lost, duplicated, delayed = self._rng.random(3) < (
            conditions.loss,
            conditions.duplicates,
            conditions.delayed,
        )
        due = self.now + conditions.one_way_s + conditions.resend_s * (bool(lost) + bool(delayed))
        for at in (due, due + conditions.resend_s)[: 2 if duplicated else 1]:
            self._sent += 1
            heapq.heappush(self._in_flight, (at, self._sent, deliver))
