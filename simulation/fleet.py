"""A fleet of simulated headsets for load tests, each with its own certificate and connection.

A headset sends the platform the same messages as `iot.agent`: snapshots from a simulated ear with the active
filter, shadow reports, telemetry. No audio runs in between, so one machine simulates a thousand headsets.
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
from anc.schemas.shadow import Configuration, Desired
from anc.schemas.snapshot import Snapshot
from anc.schemas.telemetry import TelemetryReport
from anc.schemas.topics import snapshot_topic, telemetry_topic
from iot.controller import NO_FILTER, ActiveFilter
from iot.fir import Signal
from iot.mqtt_transport import MqttTransport
from iot.shadow import ShadowClient
from iot.status import Status
from simulation.acoustic_plant import AcousticPlant
from simulation.scenes import SCENES, Scene

RATE, TAPS = 16_000, 512
USERS = 16  # distinct users; the headsets of a fleet share them
RECORDINGS = 12  # of noise, per user
SNAPSHOT_S = 1.0
RUN_IN_S = 0.06  # fills the memory of the active filter and of the acoustic paths
MAX_CONNECTING = 24  # headsets that connect at the same time
RESPONSE_TIMEOUT_S = 180.0


class NoiseRecording(NamedTuple):
    """A second of noise after `RUN_IN_S`: x, and d without control, each (n,)."""

    x: Signal
    d: Signal


class SimulatedUser(NamedTuple):
    """Secondary path and noise of one user.

    Attributes
    ----------
    measured : (m,) float32 ndarray
        Secondary path as measured at enrolment.
    true : (m,) float32 ndarray
        True secondary path.
    recordings : sequence of NoiseRecording
        Consecutive recordings are of different scenes.
    """

    measured: Signal
    true: Signal
    recordings: Sequence[NoiseRecording]


def simulated_users(count: int = USERS, seed: int = 0) -> Iterator[SimulatedUser]:
    """Yield users, each recorded in the built-in scenes."""
    noises = [Scene.built_in(name, RATE, seed) for name in SCENES]
    for number in range(count):
        plant = AcousticPlant(1000 * seed + number, RATE)
        recordings = []
        for noise in islice(cycle(noises), RECORDINGS):
            noise.read(RATE // 3)  # each user gets another part of the scene
            samples = noise.read(int((2 * RUN_IN_S + SNAPSHOT_S) * RATE))
            x, ear = plant.reference(samples), plant.ear(samples, np.zeros_like(samples))
            run_in = int(RUN_IN_S * RATE)
            recordings.append(
                NoiseRecording(x[run_in:].astype(np.float32), ear.e[run_in:].astype(np.float32))
            )
        yield SimulatedUser(plant.measured_secondary(), plant.true_secondary(), recordings)


class FleetHeadset:
    """One headset of the fleet. `run_fleet` calls the publish methods; messages are handled as they arrive.

    Parameters
    ----------
    thing : str
    credentials : Credentials
    user : SimulatedUser
    first_recording : int
        Index of the user's recording to start with.

    Attributes
    ----------
    filter_delays_s : list of float
        Seconds from publishing a snapshot to receiving its filter, for each snapshot that led to a filter.
    sent : int
        Snapshots published.
    refused : str
        Latest message that was invalid.
    """

    def __init__(
        self, thing: str, credentials: Credentials, user: SimulatedUser, first_recording: int = 0
    ) -> None:
        self.thing = thing
        self.filter_delays_s: list[float] = []
        self.sent = 0
        self.connections = 0
        self.refused = ""
        self._topic = snapshot_topic(thing, credentials.environment)
        self._telemetry = telemetry_topic(thing, credentials.environment)
        self._user = user
        self._next = first_recording
        self._desired = Desired(mode="cancel", intensity=1.0)
        self._unconfirmed: set[str] = set()
        self._active = NO_FILTER
        self._filters = 0
        self._latest_seq = -1
        self._published: dict[int, float] = {}
        self._shadow_received = threading.Event()
        self._transport = MqttTransport(thing, credentials, self._on_connected)
        self._shadow = ShadowClient(thing, self._transport, self._on_desired, self._on_refused)

    @property
    def online(self) -> threading.Event:
        """Set while connected."""
        return self._transport.online

    @property
    def reconnects(self) -> int:
        """Number of connections after the first one."""
        return max(self.connections - 1, 0)

    def start(self) -> None:
        """Connect in the background."""
        self._transport.start()

    def stop(self) -> None:
        """Disconnect."""
        self._transport.stop()

    def publish_snapshot(self) -> bool:
        """Publish a snapshot of the next recording with the active filter; return False when offline."""
        snapshot = self._snapshot(self.sent + 1)
        self._published[snapshot.seq] = time.monotonic()
        if not self._transport.publish(self._topic, snapshot.encode()):
            del self._published[snapshot.seq]
            return False
        self.sent += 1
        return True

    def publish_telemetry(self) -> None:
        """Publish telemetry and the reported state, as a headset does once a minute."""
        report = TelemetryReport(
            battery=0.8, mode="cancel", firmware="1.0.0", filters=self._filters, reverted=0
        )
        self._transport.publish(self._telemetry, msgspec.json.encode(report))
        self._report()

    def has_missed_filter(self) -> bool:
        """Request the whole shadow; return whether it holds a filter that did not arrive in a delta."""
        latest_seq = self._latest_seq
        self._shadow_received.clear()
        self._shadow.request()
        return not self._shadow_received.wait(RESPONSE_TIMEOUT_S) or self._latest_seq > latest_seq

    def _snapshot(self, seq: int) -> Snapshot:
        recording = self._user.recordings[self._next % len(self._user.recordings)]
        self._next += 1
        active = self._active
        path = np.convolve(active.gain * active.w, self._user.true)
        e = recording.d - fft_filter(path, recording.x).astype(np.float32)
        pcm = float_to_int16(np.stack([recording.x, e], axis=1)[int(RUN_IN_S * RATE) :])
        return Snapshot(seq, RATE, len(pcm), active.filter_id, active.gain, pcm=pcm)

    def _on_connected(self) -> None:
        self.connections += 1
        self._shadow.request()

    def _on_desired(self, change: Desired, reported_seq: int | None) -> None:
        at = time.monotonic()
        self._desired = self._desired.with_changes(change)
        self._unconfirmed.update(change.present())
        document = change.filter
        if document is not None and document.seq > self._latest_seq:
            self._latest_seq = document.seq
            if document.seq in self._published:
                self.filter_delays_s.append(at - self._published.pop(document.seq))
            try:
                self._active = ActiveFilter(document.id, document.decode(), 1.0)
            except Refused as refusal:
                self._on_refused(refusal)
            self._filters += 1
        self._report()
        if reported_seq is not None:
            self._shadow_received.set()

    def _on_refused(self, refusal: Refused) -> None:
        self.refused = refusal.message

    def _report(self) -> None:
        attenuation_db = 10.0 if self._active.gain else None
        status = Status(filter_id=self._active.filter_id, attenuation_db=attenuation_db)
        state = status.report(self._desired, self.sent, Configuration(), "1.0.0", update=None)
        if self._shadow.report(state, self._unconfirmed):
            self._unconfirmed.clear()


class FleetRun(NamedTuple):
    """Result of a load run.

    Attributes
    ----------
    lateness_s : list of float
        Seconds by which each snapshot was late, which measures the load on the simulating machine.
    unsent : int
        Snapshots due while their headset was offline.
    """

    lateness_s: list[float]
    unsent: int


def connect(fleet: Sequence[FleetHeadset], on_progress: Callable[[int], None], timeout_s: float) -> None:
    """Connect all headsets, a few at a time. Raises TimeoutError when one does not connect."""
    for number, headset in enumerate(fleet):
        headset.start()
        oldest = fleet[max(number - MAX_CONNECTING, 0)]
        if not oldest.online.wait(timeout_s):
            raise TimeoutError(f"{oldest.thing} did not connect within {timeout_s:.0f} s")
        on_progress(number)
    for headset in fleet:
        if not headset.online.wait(timeout_s):
            raise TimeoutError(f"{headset.thing} did not connect within {timeout_s:.0f} s")


def run_fleet(
    fleet: Sequence[FleetHeadset],
    seconds: float,
    interval_s: float,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda elapsed_s: None,
) -> FleetRun:
    """Let every headset publish once per `interval_s`, at random phases, for so many seconds."""
    rng = random.Random(seed)  # noqa: S311
    schedule: list[tuple[float, int, bool]] = []
    for number in range(len(fleet)):
        first = rng.uniform(0, interval_s)
        schedule += [(first, number, True), ((first + interval_s / 2) % interval_s, number, False)]
    heapq.heapify(schedule)
    lateness_s: list[float] = []
    unsent = 0
    start = time.monotonic()
    while schedule[0][0] < seconds:
        due, number, is_snapshot = heapq.heappop(schedule)
        heapq.heappush(schedule, (due + interval_s, number, is_snapshot))
        time.sleep(max(start + due - time.monotonic(), 0.0))
        if is_snapshot:
            lateness_s.append(time.monotonic() - start - due)
            unsent += not fleet[number].publish_snapshot()
        else:
            fleet[number].publish_telemetry()
        on_progress(due)
    return FleetRun(lateness_s, unsent)
