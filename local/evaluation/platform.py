"""The platform as it is, in a time of its own, and a headset on a simulated line to it."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from anc.ports import Credentials
from anc.records import Fleet
from anc.services import control, devices
from anc.services.devices import Registration
from anc.services.identity import Caller
from anc.settings import Settings
from anc.wire.refusal import Refused
from anc.wire.shadow import MAX_TAPS
from iot.agent import SLOW_TIMER_S, Agent, Status
from iot.controller import Controller
from iot.fir import Signal
from iot.head import Head
from iot.player import BLOCK_S, Sitting
from iot.scenes import Noise
from iot.simulated_line import FAIR, SimulatedLine, Weather
from iot.surroundings import CALM, Surroundings
from local.edition import Edition

OWNER = Caller("evaluation")
MODEL = "twin"
NOWHERE = Credentials("", "", "", "", "127.0.0.1", 1)


class Updates:
    """The queue of what changed, emptied as soon as a message lies in it."""

    def __init__(self) -> None:
        self.things: list[str] = []

    def send(self, body: Mapping[str, Any], delay_s: int = 0) -> None:
        """See `anc.ports.Queue`."""
        if not delay_s:
            self.things.append(body["thing"])


class Remembered:
    """What a fleet knows, kept as it is: no run of an evaluation learns from another one."""

    def __init__(self, known: Mapping[str, Fleet]) -> None:
        self.known = known

    def get(self, key: str) -> Fleet | None:
        """See `anc.ports.Table`."""
        return self.known.get(key)

    def put(self, record: Fleet) -> Fleet:
        """See `anc.ports.Table`; nothing is stored."""
        return record

    def delete(self, key: str) -> None:
        """See `anc.ports.Table`; nothing is removed."""

    def list(self, group: str, limit: int = 100, after: str = "") -> Sequence[Fleet]:
        """See `anc.ports.Table`."""
        return [one for one in self.known.values() if one.group == group][:limit]


class Run(NamedTuple):
    """What happened to a headset.

    Attributes
    ----------
    x, d, residual : (n,) ndarray
        Reference microphone; noise alone at the true ear without control, and with it.
    played : list of str
        Filter that played in full during each block of `BLOCK_S`, or "".
    status : Status
        Of the headset, in the end.
    refused : list of str
        What the platform did not take of it.
    counts : mapping of str to float
        What the platform counted meanwhile.
    """

    x: Signal
    d: Signal
    residual: Signal
    played: list[str]
    status: Status
    refused: list[str]
    counts: Mapping[str, float]


class SimulatedPlatform:
    """The single-machine edition's world and the services on it, called in simulated time.

    Alarms are off: what the detector costs and saves stands in the model card.

    Parameters
    ----------
    folder : Path
        For its database; one that does not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        edition = Edition(folder, 1, Settings(emergency_detection_enabled=False))
        self.now = 0.0
        self._began = time.time()
        self._folder = folder
        self._updates = Updates()
        self._shadows = edition.world.shadows
        self.world = replace(edition.world, clock=lambda: self._began + self.now, updates=self._updates)

    def enrol(self, thing: str, head: Head, taps: int = 512) -> None:
        """Register a headset as it was measured at enrolment."""
        path = head.measured_secondary().tolist()
        devices.register(Registration(thing, path, MODEL, head.rate, taps), OWNER, self.world)

    def freeze_fleet(self, keys: Sequence[str], known: bool = True) -> None:
        """Keep what the fleet knows under these keys from now on, or have it know nothing."""
        found = {key: self.world.fleets.get(key) for key in keys} if known else {}
        kept = Remembered({key: fleet for key, fleet in found.items() if fleet})
        self.world = replace(self.world, fleets=kept)

    def take(self, thing: str, topic: str, payload: bytes) -> None:
        """Do what the rule, the queues and the functions do with a message of a headset. Raises Refused."""
        if topic.endswith("/snapshot"):
            control.process_snapshot(thing, payload, self.world)
            while self._updates.things:
                control.deliver(self._updates.things.pop(0), self.world)
        elif "/shadow/" in topic:
            self._shadows.request(thing, topic.rsplit("/", 1)[-1], payload)  # type: ignore[attr-defined]

    def run(
        self,
        thing: str,
        head: Head,
        noise: Noise,
        seconds: float,
        around: Surroundings = CALM,
        weather: Weather = FAIR,
        private: bool = False,
        slow_timer_s: float = SLOW_TIMER_S,
    ) -> Run:
        """Put an enrolled headset into a noise for some seconds of simulated time.

        A block is heard by the agent when its last sample has sounded; a message arrives when its way is
        over; a filter plays from the first block on that begins after it arrived.
        """
        refused: list[str] = []
        counted = Counter(self.world.counters.read())

        def arrived(topic: str, payload: bytes) -> None:
            self.now = line.now
            try:
                self.take(thing, topic, payload)
            except Refused as refusal:
                refused.append(refusal.message)

        line = SimulatedLine(arrived, weather)
        self._shadows.publish = line.answer  # type: ignore[attr-defined]

        def line_to(_: str, __: Credentials, when_online: Any) -> SimulatedLine:
            line.when_online = when_online
            return line

        controller = Controller(head.rate, MAX_TAPS)
        agent = Agent(
            thing,
            NOWHERE,
            controller,
            head.measured_secondary(),
            head.rate,
            self._folder / thing,
            None,
            slow_timer_s,
            private,
            line_to=line_to,
            clock=lambda: line.now,
        )
        sitting = Sitting(head, noise, controller, agent, around)
        line.start()
        for k in range(int(seconds / BLOCK_S)):
            sitting.sound(k, begun=0.0)
            line.pass_time((k + 1) * BLOCK_S)
            agent.catch_up()
        counts = Counter(self.world.counters.read())
        counts.subtract(counted)
        return Run(*sitting.score.signals(), list(sitting.score.played), agent.status, refused, counts)
