"""A way to the cloud with a time of its own: as late, lossy and repetitive as one asks for."""

import heapq
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class NetworkConditions(NamedTuple):
    """How messages fare, each way.

    Attributes
    ----------
    one_way_s : float
        How long a message travels.
    lost : float, 0 to 1
        Share of messages that get lost; what was published at least once is sent again after `again_s`.
    twice : float, 0 to 1
        Share that arrives a second time, `again_s` later, when newer ones have overtaken it.
    late : float, 0 to 1
        Share that takes `again_s` longer.
    again_s : float
        Until a message that nobody acknowledged is sent again.
    """

    one_way_s: float = 0.05
    lost: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    again_s: float = 1.0


GOOD_CONDITIONS = NetworkConditions()


class SimulatedNetwork:
    """A transport between an agent and a platform, in simulated time. Nothing arrives before it was due.

    Parameters
    ----------
    cloud : callable
        `cloud(topic, payload)`: what the headset published arrives.
    weather : Weather
    seed : int
        Of what gets lost.
    """

    def __init__(
        self,
        cloud: Callable[[str, bytes], None],
        conditions: NetworkConditions = GOOD_CONDITIONS,
        seed: int = 0,
    ) -> None:
        self.online = threading.Event()
        self.when_online: Callable[[], None] = lambda: None
        self.now = 0.0
        self.conditions = conditions
        self._cloud = cloud
        self._rng = np.random.default_rng(seed)
        self._heard: dict[str, Callable[[bytes], None]] = {}
        self._on_its_way: list[tuple[float, int, Callable[[], None]]] = []
        self._sent = 0

    def on(self, topic: str, heard: Callable[[bytes], None]) -> None:
        """See `iot.transport.Transport`."""
        self._heard[topic] = heard

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
            self._send(lambda: self._cloud(topic, payload))
        return self.online.is_set()

    def answer(self, topic: str, payload: bytes) -> None:
        """Let the platform publish a message; the headset gets what it subscribed to, while it is online."""
        heard = self._heard.get(topic)
        if heard:
            self._send(lambda: heard(payload) if self.online.is_set() else None)

    def pass_time(self, now: float) -> None:
        """Deliver what is due by now."""
        while self._on_its_way and self._on_its_way[0][0] <= now:
            self.now, _, arrive = heapq.heappop(self._on_its_way)
            arrive()
        self.now = now

    def _send(self, arrive: Callable[[], None]) -> None:
        conditions = self.conditions
        lost, twice, late = self._rng.random(3) < (conditions.lost, conditions.twice, conditions.late)
        due = self.now + conditions.one_way_s + conditions.again_s * (bool(lost) + bool(late))
        for at in (due, due + conditions.again_s)[: 2 if twice else 1]:
            self._sent += 1
            heapq.heappush(self._on_its_way, (at, self._sent, arrive))
