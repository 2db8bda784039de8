"""The platform's services and a headset in simulated time, connected by a simulated network."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from anc.headset_records import Fleet
from anc.ports import Credentials
from anc.read_cache import ReadCache
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
from iot.local_adaptation import LocalAdaptation
from iot.status import Status
from local.public_address import PublicAddress
from local.server import LocalPlatform
from simulation.acoustic_plant import AcousticPlant
from simulation.disturbances import NO_DISTURBANCES, Disturbances
from simulation.network import GOOD_CONDITIONS, NetworkConditions, SimulatedNetwork
from simulation.playback import BLOCK_S, Simulation
from simulation.scenes import Noise

OWNER = Caller("evaluation", "operator")  # a listener may have only some headsets
MODEL = "twin"
UNUSED_CREDENTIALS = Credentials("", "", "", "", "127.0.0.1", 1)


class UpdateQueue:
    """The queue of changed headsets, which `SimulatedPlatform` processes at once."""

    def __init__(self) -> None:
        self.things: list[str] = []

    def send(self, message: Message, delay_s: int = 0) -> None:
        """See `anc.ports.Queue`."""
        if isinstance(message, ControlChanged) and not delay_s:
            self.things.append(message.thing)


class FrozenTable:
    """A read-only table of fleet statistics, so that runs do not learn from each other."""

    def __init__(self, records: Mapping[str, Fleet]) -> None:
        self._records = records

    def get(self, key: str) -> Fleet | None:
        """See `anc.ports.Table`."""
        return self._records.get(key)

    def put(self, record: Fleet) -> Fleet:
        """See `anc.ports.Table`; nothing is stored."""
        return record

    def delete(self, key: str, version: int | None = None) -> None:
        """See `anc.ports.Table`; nothing is removed."""

    def list(
        self, group: str, limit: int = 100, after: str = "", descending: bool = False
    ) -> Sequence[Fleet]:
        """See `anc.ports.Table`. In no particular order."""
        return [one for one in self._records.values() if one.group == group][:limit]


class Run(NamedTuple):
    """The result of a run.

    Attributes
    ----------
    x, d, residual : (n,) ndarray
        Reference microphone without speech; noise at the true ear without control, and with control.
    played : list of str
        Active filter of each block of `BLOCK_S` during which it was fully faded in, else "".
    status : Status
        The headset's final status.
    refused : list of str
        Reasons of rejected messages.
    counts : mapping of str to float
        Change of the platform's counters.
    heard : (n, 2) ndarray
        All sounds at the error microphone, without control and with control.
    """

    x: Signal
    d: Signal
    residual: Signal
    played: list[str]
    status: Status
    refused: list[str]
    counts: Mapping[str, float]
    heard: Signal


class SimulatedPlatform:
    """The platform's services on local storage, called in simulated time.

    Emergency detection is off; the model card has its figures.

    Parameters
    ----------
    folder : Path
        Data folder; must not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        local = LocalPlatform(
            folder, PublicAddress.of("127.0.0.1", 1), Settings(emergency_detection_enabled=False)
        )
        self.now = 0.0
        self._start_s = time.time()
        self._folder = folder
        self._updates = UpdateQueue()
        self._shadows = local.deps.shadows
        self.deps = replace(local.deps, clock=lambda: self._start_s + self.now, updates=self._updates)

    def register(self, thing: str, head: AcousticPlant, taps: int = 512) -> None:
        """Register a headset with its secondary path as measured at enrolment."""
        path = head.measured_secondary().tolist()
        devices.register(Registration(thing, path, MODEL, head.rate, taps), OWNER, self.deps)

    def freeze_fleet(self, keys: Sequence[str]) -> None:
        """Freeze the fleet statistics under these keys, and drop all others."""
        found = [record for key in keys for record in self.deps.fleets.list(key)]
        frozen = FrozenTable({record.key: record for record in found})
        self.deps = replace(self.deps, fleets=frozen, fleet_cache=ReadCache())

    def receive(self, thing: str, topic: str, payload: bytes) -> None:
        """Process a headset's message as rule, queues and functions do. Raises Refused."""
        if topic.endswith("/snapshot"):
            control.process_snapshot(thing, payload, self.deps)
            self.deliver_updates()
        elif "/shadow/" in topic:
            self._shadows.request(thing, topic.rsplit("/", 1)[-1], payload)  # type: ignore[attr-defined]

    def deliver_updates(self) -> None:
        """Update the shadows of the headsets in the queue."""
        while self._updates.things:
            control.deliver(self._updates.things.pop(0), self.deps)

    def run(
        self,
        thing: str,
        head: AcousticPlant,
        noise: Noise,
        seconds: float,
        disturbances: Disturbances = NO_DISTURBANCES,
        conditions: NetworkConditions = GOOD_CONDITIONS,
        private: bool = False,
        slow_timer_s: float = SLOW_TIMER_S,
    ) -> Run:
        """Run a registered headset in a noise; see `SimulatedHeadset` for the parameters."""
        counts_before = Counter(self.deps.counters.read())
        headset = SimulatedHeadset(self, thing, head, noise, disturbances, conditions, private, slow_timer_s)
        for _ in range(int(seconds / BLOCK_S)):
            headset.play_block()
        counts = Counter(self.deps.counters.read())
        counts.subtract(counts_before)
        score = headset.simulation.metrics
        return Run(
            *score.signals(),
            list(score.played),
            headset.agent.status,
            headset.refused,
            counts,
            score.heard(),
        )

    def connect(self, network: SimulatedNetwork) -> None:
        """Send the shadows' messages over a network."""
        self._shadows.publish = network.publish_to_headset  # type: ignore[attr-defined]

    def folder_of(self, thing: str) -> Path:
        """Return the folder of a headset."""
        return self._folder / thing


class SimulatedHeadset:
    """A registered headset on a simulated head in a noise, block by block, in simulated time.

    The agent gets a block after its last sample. Messages arrive after their network delay. A command takes
    effect with the first block that begins after it.

    Parameters
    ----------
    platform : SimulatedPlatform
    thing : str
    head : AcousticPlant
    noise : Noise
    disturbances : Disturbances
    conditions : NetworkConditions
    private : bool
        Send statistics instead of sound.
    slow_timer_s : float
    emergency_detector : EmergencyDetector or None
        As in `Agent`.
    processing_s : float
        Time that the agent needs for a block.
    """

    def __init__(
        self,
        platform: SimulatedPlatform,
        thing: str,
        head: AcousticPlant,
        noise: Noise,
        disturbances: Disturbances = NO_DISTURBANCES,
        conditions: NetworkConditions = GOOD_CONDITIONS,
        private: bool = False,
        slow_timer_s: float = SLOW_TIMER_S,
        emergency_detector: EmergencyDetector | None = None,
        processing_s: float = 0.0,
    ) -> None:
        self.refused: list[str] = []
        secondary = head.measured_secondary()
        self.controller = Controller(head.rate, MAX_TAPS, LocalAdaptation(secondary, head.rate))
        self._platform, self._thing = platform, thing
        self._network = SimulatedNetwork(self._deliver, conditions)
        platform.connect(self._network)
        self.agent = Agent(
            thing,
            UNUSED_CREDENTIALS,
            self.controller,
            secondary,
            head.rate,
            platform.folder_of(thing),
            emergency_detector,
            slow_timer_s,
            private,
            make_transport=self._make_transport,
            clock=lambda: self._network.now + processing_s,
        )
        self.simulation = Simulation(head, noise, self.controller, self.agent, disturbances)
        self._blocks = 0
        self._network.start()

    @property
    def now(self) -> float:
        """Seconds since the noise began."""
        return self._blocks * BLOCK_S

    def play_block(self) -> None:
        """Play the next block, then deliver the messages and run the timers that are due."""
        self.simulation.process_block(self._blocks, start=0.0)
        self._blocks += 1
        self._network.advance_to(self.now)
        self.agent.process_pending()

    def _deliver(self, topic: str, payload: bytes) -> None:
        self._platform.now = self._network.now
        try:
            self._platform.receive(self._thing, topic, payload)
        except Refused as refusal:
            self.refused.append(refusal.message)

    def _make_transport(self, _: str, __: Credentials, when_online: Callable[[], None]) -> SimulatedNetwork:
        self._network.when_online = when_online
        return self._network
