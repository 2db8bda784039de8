"""The platform as it is, in a time of its own, and a headset on a simulated line to it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from anc.ports import Credentials
from anc.records import Fleet
from anc.schemas.messages import ControlChanged, Message
from anc.schemas.refusal import Refused
from anc.schemas.shadow import MAX_TAPS
from anc.services.access.identity import Caller
from anc.services.headsets import control, devices
from anc.services.headsets.devices import Registration
from anc.settings import Settings
from iot.agent import SLOW_TIMER_S, Agent
from iot.controller import Controller
from iot.emergency_detector import EmergencyDetector
from iot.fir import Signal
from iot.status import Status
from local.server import LocalPlatform
from simulation.acoustic_plant import AcousticPlant
from simulation.disturbances import NO_DISTURBANCES, Disturbances
from simulation.network import GOOD_CONDITIONS, NetworkConditions, SimulatedNetwork
from simulation.playback import BLOCK_S, Simulation
from simulation.scenes import Noise

OWNER = Caller("evaluation")
MODEL = "twin"
NOWHERE = Credentials("", "", "", "", "127.0.0.1", 1)


class Updates:
    """The queue of what changed, emptied as soon as a message lies in it."""

    def __init__(self) -> None:
        self.things: list[str] = []

    def send(self, message: Message, delay_s: int = 0) -> None:
        """See `anc.ports.Queue`."""
        if isinstance(message, ControlChanged) and not delay_s:
            self.things.append(message.thing)


class FrozenTable:
    """What a fleet knows, kept as it is: no run of an evaluation learns from another one."""

    def __init__(self, known: Mapping[str, Fleet]) -> None:
        self.known = known

    def get(self, key: str) -> Fleet | None:
        """See `anc.ports.Table`."""
        return self.known.get(key)

    def put(self, record: Fleet) -> Fleet:
        """See `anc.ports.Table`; nothing is stored."""
        return record

    def delete(self, key: str, version: int | None = None) -> None:
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

    It does not listen for alarms: what the detector costs and saves stands in the model card.

    Parameters
    ----------
    folder : Path
        For its database; one that does not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        local = LocalPlatform(folder, 1, Settings(emergency_detection_enabled=False))
        self.now = 0.0
        self._began = time.time()
        self._folder = folder
        self._updates = Updates()
        self._shadows = local.deps.shadows
        self.deps = replace(local.deps, clock=lambda: self._began + self.now, updates=self._updates)

    def register(self, thing: str, head: AcousticPlant, taps: int = 512) -> None:
        """Register a headset as it was measured at enrolment."""
        path = head.measured_secondary().tolist()
        devices.register(Registration(thing, path, MODEL, head.rate, taps), OWNER, self.deps)

    def freeze_fleet(self, keys: Sequence[str], known: bool = True) -> None:
        """Keep what the fleet knows under these keys from now on, or have it know nothing."""
        found = {key: self.deps.fleets.get(key) for key in keys} if known else {}
        kept = FrozenTable({key: fleet for key, fleet in found.items() if fleet})
        self.deps = replace(self.deps, fleets=kept)

    def take(self, thing: str, topic: str, payload: bytes) -> None:
        """Do what the rule, the queues and the functions do with a message of a headset. Raises Refused."""
        if topic.endswith("/snapshot"):
            control.process_snapshot(thing, payload, self.deps)
            while self._updates.things:
                control.deliver(self._updates.things.pop(0), self.deps)
        elif "/shadow/" in topic:
            self._shadows.request(thing, topic.rsplit("/", 1)[-1], payload)  # type: ignore[attr-defined]

    def run(
        self,
        thing: str,
        head: AcousticPlant,
        noise: Noise,
        seconds: float,
        around: Disturbances = NO_DISTURBANCES,
        conditions: NetworkConditions = GOOD_CONDITIONS,
        private: bool = False,
        slow_timer_s: float = SLOW_TIMER_S,
    ) -> Run:
        """Put an enrolled headset into a noise for some seconds of simulated time; see `Worn`."""
        counted = Counter(self.deps.counters.read())
        worn = SimulatedHeadset(self, thing, head, noise, around, conditions, private, slow_timer_s)
        for _ in range(int(seconds / BLOCK_S)):
            worn.sound()
        counts = Counter(self.deps.counters.read())
        counts.subtract(counted)
        score = worn.sitting.metrics
        return Run(*score.signals(), list(score.played), worn.agent.status, worn.refused, counts)

    def connect(self, line: SimulatedNetwork) -> None:
        """Have what the shadows say go out on a line."""
        self._shadows.publish = line.publish_to_headset  # type: ignore[attr-defined]

    def folder_of(self, thing: str) -> Path:
        """Return the folder that a headset keeps its own things in."""
        return self._folder / thing


class SimulatedHeadset:
    """An enrolled headset on a head in a noise, block by block, in simulated time.

    A block is heard by the agent when its last sample has sounded; a message arrives when its way is over; an
    order is obeyed from the first block on that begins after it was given.

    Parameters
    ----------
    platform : SimulatedPlatform
    thing, head, noise, around, weather, private, slow_timer_s
        As in `SimulatedPlatform.run`.
    ears : AlarmEars or None
        As in `Agent`.
    thinking_s : float
        That the agent takes over a block before it gives an order.
    """

    def __init__(
        self,
        platform: SimulatedPlatform,
        thing: str,
        head: AcousticPlant,
        noise: Noise,
        around: Disturbances = NO_DISTURBANCES,
        conditions: NetworkConditions = GOOD_CONDITIONS,
        private: bool = False,
        slow_timer_s: float = SLOW_TIMER_S,
        emergency_detector: EmergencyDetector | None = None,
        thinking_s: float = 0.0,
    ) -> None:
        self.refused: list[str] = []
        self.controller = Controller(head.rate, MAX_TAPS)
        self._platform, self._thing = platform, thing
        self._line = SimulatedNetwork(self._arrived, conditions)
        platform.connect(self._line)
        self.agent = Agent(
            thing,
            NOWHERE,
            self.controller,
            head.measured_secondary(),
            head.rate,
            platform.folder_of(thing),
            emergency_detector,
            slow_timer_s,
            private,
            make_transport=self._make_transport,
            clock=lambda: self._line.now + thinking_s,
        )
        self.sitting = Simulation(head, noise, self.controller, self.agent, around)
        self._blocks = 0
        self._line.start()

    @property
    def now(self) -> float:
        """Seconds since the noise began."""
        return self._blocks * BLOCK_S

    def sound(self) -> None:
        """Let the next block sound, and deliver and do what is due by its end."""
        self.sitting.process_block(self._blocks, start=0.0)
        self._blocks += 1
        self._line.advance_to(self.now)
        self.agent.process_pending()

    def _arrived(self, topic: str, payload: bytes) -> None:
        self._platform.now = self._line.now
        try:
            self._platform.take(self._thing, topic, payload)
        except Refused as refusal:
            self.refused.append(refusal.message)

    def _make_transport(self, _: str, __: Credentials, when_online: Callable[[], None]) -> SimulatedNetwork:
        self._line.when_online = when_online
        return self._line
