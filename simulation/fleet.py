"""A fleet of simulated headsets: each its own head, certificate and connection, and no audio in between.

What a headset of `iot.agent` says to the platform is all there: snapshots of sound at a simulated ear with
the filter in use at work, reports to the shadow, telemetry. What only its listener would hear is left out, so
that one machine plays a thousand of them.
"""

import heapq
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import NamedTuple

import msgspec
import numpy as np

from anc.dsp.convolution import fft_filter
from anc.pcm import float_to_int16
from anc.ports import Credentials
from anc.schemas.refusal import Refused
from anc.schemas.shadow import Desired, Reported
from anc.schemas.snapshot import Snapshot
from anc.schemas.telemetry import TelemetryReport
from iot.controller import NO_FILTER, ActiveFilter
from iot.fir import Signal
from iot.mqtt_transport import MqttTransport
from iot.shadow import ShadowClient
from simulation.acoustic_plant import AcousticPlant
from simulation.scenes import SCENES, Scene

RATE, TAPS = 16_000, 512
HEADS = 16  # different ones; a fleet's headsets share them
MOMENTS = 12  # of noise that each head is recorded in
SNAPSHOT_S = 1.0
BEFORE_S = 0.06  # in which the filter in use has filled its memory, and the path its own
CONNECTING = 24  # headsets that connect at the same time
ANSWER_S = 180.0


class Moment(NamedTuple):
    """A second of noise at a head, with the `BEFORE_S` before it: x, and d without control, each (n,)."""

    x: Signal
    d: Signal


class SimulatedUser(NamedTuple):
    """A head, as the platform knows it and as it is, and what it hears.

    Attributes
    ----------
    measured : (m,) float32 ndarray
        Secondary path as measured at enrolment.
    true : (m,) float32 ndarray
        Secondary path as it is.
    moments : sequence of Moment
        No two neighbours of the same scene.
    """

    measured: Signal
    true: Signal
    moments: Sequence[Moment]


def simulated_users(count: int = HEADS, seed: int = 0) -> Iterator[SimulatedUser]:
    """Record so many heads in the built-in scenes, one after the other."""
    noises = [Scene.built_in(name, RATE, seed) for name in SCENES]
    for number in range(count):
        head = AcousticPlant(1000 * seed + number, RATE)
        moments = []
        for noise in islice(cycle(noises), MOMENTS):
            noise.read(RATE // 3)  # so that no two heads hear the very same
            sound = noise.read(int((2 * BEFORE_S + SNAPSHOT_S) * RATE))
            x, ear = head.reference(sound), head.ear(sound, np.zeros_like(sound))
            run_in = int(BEFORE_S * RATE)
            moments.append(Moment(x[run_in:].astype(np.float32), ear.e[run_in:].astype(np.float32)))
        yield SimulatedUser(head.measured_secondary(), head.true_secondary(), moments)


class Headset:
    """One of the fleet. `speak` and `tell` are called by the clock; the rest happens as messages come.

    Parameters
    ----------
    thing : str
    credentials : Credentials
    wearer : Wearer
    begin_with : int
        Which of the wearer's moments comes first.

    Attributes
    ----------
    waits : list of float
        Seconds from each snapshot published to its filter received, of those that a filter answered.
    sent : int
        Snapshots published.
    interruptions : int
        Connections lost.
    refused : str
        What it could not take, last.
    """

    def __init__(
        self, thing: str, credentials: Credentials, wearer: SimulatedUser, begin_with: int = 0
    ) -> None:
        self.thing = thing
        self.waits: list[float] = []
        self.sent = 0
        self.connections = 0
        self.refused = ""
        self._topic = f"$aws/rules/anc_snapshot/anc/{thing}/snapshot"
        self._telemetry = f"anc/{thing}/telemetry"
        self._wearer = wearer
        self._next = begin_with
        self._voice = NO_FILTER
        self._filters = 0
        self._newest = -1
        self._published: dict[int, float] = {}
        self._wished = Desired(mode="cancel", intensity=1.0)
        self._asked = threading.Event()
        self._line = MqttTransport(thing, credentials, self._online)
        self._shadow = ShadowClient(thing, self._line, self._obey, self._refuse)

    @property
    def online(self) -> threading.Event:
        """Set while it is connected."""
        return self._line.online

    @property
    def interruptions(self) -> int:
        """How often it had to connect again."""
        return max(self.connections - 1, 0)

    def start(self) -> None:
        """Begin to connect."""
        self._line.start()

    def stop(self) -> None:
        """Disconnect."""
        self._line.stop()

    def speak(self) -> bool:
        """Publish a snapshot of the next moment, with the filter in use playing; False when offline."""
        snapshot = self._snapshot(self.sent + 1)
        self._published[snapshot.seq] = time.monotonic()
        if not self._line.publish(self._topic, snapshot.encode()):
            del self._published[snapshot.seq]
            return False
        self.sent += 1
        return True

    def tell(self) -> None:
        """Publish telemetry, and report to the shadow, as a headset does once a minute."""
        said = TelemetryReport(
            battery=0.8, mode="cancel", firmware="1.0.0", filters=self._filters, reverted=0
        )
        self._line.publish(self._telemetry, msgspec.json.encode(said))
        self._report()

    def missed(self) -> bool:
        """Ask for the whole shadow: return whether it holds a filter that no delta has brought."""
        newest = self._newest
        self._asked.clear()
        self._shadow.ask()
        return not self._asked.wait(ANSWER_S) or self._newest > newest

    def _snapshot(self, seq: int) -> Snapshot:
        moment = self._wearer.moments[self._next % len(self._wearer.moments)]
        self._next += 1
        voice = self._voice
        path = np.convolve(voice.gain * voice.w, self._wearer.true)
        e = moment.d - fft_filter(path, moment.x).astype(np.float32)
        heard = np.stack([moment.x, e], axis=1)[int(BEFORE_S * RATE) :]
        pcm = float_to_int16(heard)
        return Snapshot(seq, RATE, len(pcm), voice.filter_id, voice.gain, pcm=pcm)

    def _online(self) -> None:
        self.connections += 1
        self._shadow.ask()

    def _obey(self, change: Desired, reported_seq: int | None) -> None:
        at = time.monotonic()
        document = change.filter
        if document is not None and document.seq > self._newest:
            self._newest = document.seq
            if document.seq in self._published:
                self.waits.append(at - self._published.pop(document.seq))
            try:
                self._voice = ActiveFilter(document.id, document.decode(), 1.0)
            except Refused as refusal:
                self._refuse(refusal)
            self._filters += 1
            self._report()
        if reported_seq is not None:
            self._asked.set()

    def _refuse(self, refusal: Refused) -> None:
        self.refused = refusal.message

    def _report(self) -> None:
        voice = self._voice
        attenuation_db = 10.0 if voice.gain else None
        self._shadow.report(Reported("cancel", 1.0, voice.filter_id, self.sent, attenuation_db))


class FleetRun(NamedTuple):
    """How a fleet's time went.

    Attributes
    ----------
    late : list of float
        Seconds by which each snapshot was published after it was due: the fleet's own machine.
    unsent : int
        Snapshots due while their headset was offline.
    """

    late: list[float]
    unsent: int


def connect(fleet: Sequence[Headset], on_progress: Callable[[int], None], patience_s: float) -> None:
    """Connect all headsets, a few at a time. Raises TimeoutError when one does not come up."""
    for number, headset in enumerate(fleet):
        headset.start()
        waiting = fleet[max(number - CONNECTING, 0)]
        if not waiting.online.wait(patience_s):
            raise TimeoutError(f"{waiting.thing}: not connected after {patience_s:.0f} s")
        on_progress(number)
    for headset in fleet:
        if not headset.online.wait(patience_s):
            raise TimeoutError(f"{headset.thing}: not connected after {patience_s:.0f} s")


def run_fleet(
    fleet: Sequence[Headset],
    seconds: float,
    every_s: float,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda passed: None,
) -> FleetRun:
    """Let every headset speak once in `every_s`, each at a time of its own, for so many seconds."""
    rng = random.Random(seed)  # noqa: S311
    calendar: list[tuple[float, int, bool]] = []
    for number in range(len(fleet)):
        first = rng.uniform(0, every_s)
        calendar += [(first, number, True), ((first + every_s / 2) % every_s, number, False)]
    heapq.heapify(calendar)
    late: list[float] = []
    unsent = 0
    begun = time.monotonic()
    while calendar[0][0] < seconds:
        due, number, snapshot = heapq.heappop(calendar)
        heapq.heappush(calendar, (due + every_s, number, snapshot))
        time.sleep(max(begun + due - time.monotonic(), 0.0))
        if snapshot:
            late.append(time.monotonic() - begun - due)
            unsent += not fleet[number].speak()
        else:
            fleet[number].tell()
        on_progress(due)
    return FleetRun(late, unsent)
