"""Headsets on MQTT, with a certificate and a connection each, that send what `iot.agent` sends, when it does.

The sound is recorded in advance. A headset that adapts its filter sends d, the noise without control, so that
what it sends does not depend on the filter that plays.
"""

import heapq
import itertools
import queue
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from anc.pcm import float_to_int16
from anc.ports import Credentials
from anc.schemas.refusal import Refused
from anc.schemas.shadow import Configuration, Desired
from anc.schemas.snapshot import Snapshot
from anc.schemas.topics import snapshot_topic, telemetry_topic
from anc.settings import Settings
from anc_client import Client
from benchmarks.load.headset_day import HeadsetDay
from benchmarks.load.plan import Gate, Plan, Window, by_minute_ms, quantiles_ms
from benchmarks.processes import Server
from iot.controller import NO_FILTER, ActiveFilter
from iot.jobs import JobClient
from iot.mqtt_transport import MqttTransport
from iot.shadow import ShadowClient
from iot.snapshot_recorder import SnapshotRecorder
from iot.state_reporter import ALL_FIELDS, REFRESHED, REPORT_REFRESH_S, REPORT_SETTLED_S
from iot.status import Status
from iot.telemetry_buffer import BATCH_SIZE, REPORT_INTERVAL_S, TelemetryBuffer
from local.auth.issuer import Issuer
from local.process import open_as_many_files_as_allowed
from simulation.fleet import RATE, RUN_IN_S, TAPS, USERS, SimulatedUser, connect, simulated_users
from simulation.scenes import SCENES
from tools.fleet_load import registered_headsets, wait_for_counters

CONNECT_TIMEOUT_S = 180.0
RESPONSE_TIMEOUT_S = 60.0
FIRMWARE = "1.0.0"
TELEMETRY_HZ = 8  # the buffer counts samples: a step of the schedule is one or more of these
LEVEL = 0.01
PHASES = 59  # in which headsets record their telemetry
SCENE_NAMES = tuple(SCENES)


class Sounds:
    """Recordings of some users, as the payloads of snapshots.

    Attributes
    ----------
    users : int
        Their number.
    """

    def __init__(self, users: Sequence[SimulatedUser]) -> None:
        self._users = users
        self.users = len(users)
        self.payload = cache(self._payload)

    def _payload(self, user: int, recording: int, samples: int, statistics: bool) -> Snapshot:
        """Return a snapshot with sequence number 0 and no filter."""
        wearer = self._users[user]
        x, d = (signal[int(RUN_IN_S * RATE) :][:RATE] for signal in wearer.recordings[recording])
        if not statistics:
            pcm = float_to_int16(np.stack([x, d], axis=1)[-samples:])
            return Snapshot(0, RATE, samples, "", 0.0, pcm=pcm)
        recorder = SnapshotRecorder(RATE, wearer.measured, TAPS, RATE)
        recorder.process(x, d, d)
        return recorder.snapshot(0, NO_FILTER, samples, private=True)

    def prepare(self) -> None:
        """Compute every payload before the measurement."""
        for user, wearer in enumerate(self._users):
            for recording in range(len(wearer.recordings)):
                for samples in (RATE // 4, RATE // 2, RATE):
                    self.payload(user, recording, samples, statistics=False)
                self.payload(user, recording, RATE, statistics=True)


class LoadHeadset:
    """One headset. `step` is called in one thread; messages arrive in a thread of the client library.

    Attributes
    ----------
    filter_delays : list of (float, float)
        When a filter arrived, and how many seconds after its snapshot was published.
    sent : dict of str to int
        Messages by kind: snapshots with sound, with statistics, telemetry, reports of the state.
    """

    def __init__(self, number: int, thing: str, credentials: Credentials, sounds: Sounds, seed: int) -> None:
        self.thing = thing
        self.sent: dict[str, int] = dict.fromkeys(("sound", "statistics", "telemetry", "reports"), 0)
        self.snapshot_bytes = 0
        self.filter_delays: list[tuple[float, float]] = []
        self.connections = 0
        self.refused = ""
        self._user, self._turns = number % sounds.users, itertools.count(number // sounds.users)
        self._sounds = sounds
        self._day = HeadsetDay(seed + number)
        self._topics = [make(thing, credentials.environment) for make in (snapshot_topic, telemetry_topic)]
        self._inbox: queue.SimpleQueue[tuple[Desired, int | None]] = queue.SimpleQueue()
        self._desired, self._status = Desired(mode="cancel", intensity=1.0), Status()
        self._active, self._filter_seq, self._seq = NO_FILTER, -1, 0
        self._published: dict[int, float] = {}
        self._unconfirmed: set[str] = set(ALL_FIELDS)
        self._report_at = 0.0
        self._answers = 0  # whole shadows received
        self._telemetry = TelemetryBuffer(TELEMETRY_HZ, lambda payload: True)
        for _ in range(1 + number % BATCH_SIZE):  # reports of before: the first is sent alone
            self._record_telemetry(REPORT_INTERVAL_S)
        self._record_telemetry(REPORT_INTERVAL_S * (1 + number % PHASES) / (1 + PHASES))
        self._telemetry._publish = self._publish_telemetry
        self._transport = MqttTransport(thing, credentials, self._on_connected)
        self._shadow = ShadowClient(thing, self._transport, self._on_desired, self._on_refused)
        self._jobs = JobClient(thing, self._transport, lambda job: None, self._on_refused)
        self.online, self.start, self.stop = (
            self._transport.online,
            self._transport.start,
            self._transport.stop,
        )

    def step(self, now: float, seconds: float) -> float:
        """Act after `seconds` have passed; return after how many seconds to do so again."""
        while not self._inbox.empty():
            self._apply(now, *self._inbox.get())
        self._record_telemetry(seconds)
        samples = self._day.step(seconds)
        if samples and self.online.is_set() and self._shadow.in_sync():
            self._publish_snapshot(samples)
        if self._unconfirmed and now >= self._report_at:
            self._report(now)
        return self._day.next_step_s()

    def has_missed_filter(self) -> bool:
        """Request the whole shadow; return whether it does not come or holds a filter that did not arrive."""
        answers, seq, until = self._answers, self._filter_seq, time.monotonic() + RESPONSE_TIMEOUT_S
        self._shadow.request()
        while self._answers == answers and time.monotonic() < until:
            time.sleep(0.001)
        return self._answers == answers or self._filter_seq > seq

    def _publish_snapshot(self, samples: int) -> None:
        statistics = not self._day.new_noise
        recording = SCENE_NAMES.index(self._day.noise) + len(SCENE_NAMES) * (next(self._turns) % 4)
        self._seq += 1
        payload = self._sounds.payload(self._user, recording, samples, statistics)
        encoded = replace(payload, seq=self._seq, filter_id=self._active.filter_id).encode()
        self._published[self._seq] = time.monotonic()
        if not self._transport.publish(self._topics[0], encoded):
            self._published.pop(self._seq, None)
            return
        self._day.mark_sent(samples)
        self.sent["statistics" if statistics else "sound"] += 1
        self.snapshot_bytes += len(encoded)

    def _apply(self, now: float, change: Desired, reported_seq: int | None) -> None:
        self._desired = self._desired.with_changes(change)
        self._unconfirmed.update(change.present())
        settled = REPORT_SETTLED_S
        if reported_seq is not None:
            self._shadow.mark_applied()
            self._unconfirmed.update(ALL_FIELDS)
            settled = 0.0
        document = change.filter
        if document is not None and document.id != self._active.filter_id:
            self._active = ActiveFilter(document.id, document.decode(), 1.0)
            self._status = replace(self._status, filter_id=document.id, filters=self._status.filters + 1)
            self._day.mark_filter()
        self._report_at = max(self._report_at, now + settled)

    def _report(self, now: float) -> None:
        status = replace(self._status, attenuation_db=10.0 if self._active.filter_id else None)
        state = status.report(self._desired, self._seq, Configuration(), FIRMWARE, update=None)
        if self._shadow.report(state, self._unconfirmed):
            self.sent["reports"] += 1
            self._unconfirmed.clear()
            self._report_at = now

    def refresh_report(self) -> None:
        """Report everything but the large fields, as once an hour."""
        self._unconfirmed.update(REFRESHED)

    def _record_telemetry(self, seconds: float) -> None:
        level = np.full(round(seconds * TELEMETRY_HZ), LEVEL, np.float32)
        self._telemetry.process(level, lambda: self._status.telemetry(FIRMWARE))

    def _publish_telemetry(self, payload: bytes) -> bool:
        published = self._transport.publish(self._topics[1], payload)
        self.sent["telemetry"] += published
        return published

    def _on_connected(self) -> None:
        self.connections += 1
        self._shadow.request()
        self._jobs.request()

    def _on_desired(self, change: Desired, reported_seq: int | None) -> None:
        at, document = time.monotonic(), change.filter
        if document is not None and document.seq > self._filter_seq:
            self._filter_seq = document.seq
            if begun := self._published.pop(document.seq, 0.0):
                self.filter_delays.append((at, at - begun))
        self._answers += reported_seq is not None
        self._inbox.put((change, reported_seq))

    def _on_refused(self, refusal: Refused) -> None:
        self.refused = refusal.message


def generate(server: Server, plan: Plan, gate: Gate) -> dict[str, Any]:
    """Register and connect headsets, run them, and return what was sent and lost."""
    open_as_many_files_as_allowed()
    users = list(simulated_users(min(USERS, plan.headsets), plan.seed))
    sounds = Sounds(users)
    sounds.prepare()
    issuer = Issuer(server.data, Settings())
    registered = registered_headsets(server.url, issuer, users, plan.headsets)
    fleet = [
        LoadHeadset(number, thing, credentials, sounds, plan.seed)
        for number, (thing, credentials) in enumerate(registered)
    ]
    connect(fleet, lambda number: None, CONNECT_TIMEOUT_S)
    with Client(server.url, issuer.issue("load", "admin")) as client:
        before = client.totals()
        window = gate.window()
        late, at_start = _run(fleet, window, gate)
        at_end = _sent(fleet)
        snapshots = at_end["sound"] + at_end["statistics"]
        counted = wait_for_counters(client, before, snapshots)
    missed = sum(headset.has_missed_filter() for headset in fleet)
    for headset in fleet:
        headset.stop()
    delays = [each for headset in fleet for each in headset.filter_delays if each[0] >= window.since]
    hours = (window.until - window.since) / 3600 * max(plan.headsets, 1)
    refused = {name: n for name, n in counted.items() if name.startswith("snapshots_refused_") and n}
    return {
        "headsets": plan.headsets,
        "snapshots": snapshots,
        "lost": snapshots - counted.get("snapshots_processed", 0) - sum(refused.values()),
        "refused": refused,
        "filters": counted.get("filters_sent", 0),
        "filters_missed": missed,
        "connections_lost": sum(max(headset.connections - 1, 0) for headset in fleet),
        "refused_by_headsets": sorted({headset.refused for headset in fleet if headset.refused}),
        "snapshot_to_filter_ms": quantiles_ms([seconds for _, seconds in delays]),
        "p99_by_minute_ms": by_minute_ms(delays, window),
        "per_headset_hour": {name: round((at_end[name] - at_start[name]) / hours, 1) for name in at_end},
        "late_ms": quantiles_ms(late),
        "cores": gate.cores(window),
    }


def _run(fleet: Sequence[LoadHeadset], window: Window, gate: Gate) -> tuple[list[float], dict[str, int]]:
    """Run the schedules; return by how many seconds each step was late, and what was sent before `since`."""
    steps = [(window.first + n / max(len(fleet), 1), n, 1.0) for n in range(len(fleet))]
    refreshes = [
        (window.first + n * REPORT_REFRESH_S / max(len(fleet), 1), n, 0.0) for n in range(len(fleet))
    ]
    heapq.heapify(agenda := steps + refreshes)
    late: list[float] = []
    at_start: dict[str, int] = {}
    while agenda and (due := agenda[0][0]) < window.until:
        if due >= window.since and not at_start:
            gate.mark()
            at_start = _sent(fleet)
        time.sleep(max(due - time.monotonic(), 0.0))
        _, number, seconds = heapq.heappop(agenda)
        now = time.monotonic()
        if not seconds:
            fleet[number].refresh_report()
            continue
        if due >= window.since:
            late.append(now - due)
        following = fleet[number].step(now, seconds)
        heapq.heappush(agenda, (due + following, number, following))
    gate.mark()
    return late, at_start


def _sent(fleet: Sequence[LoadHeadset]) -> dict[str, int]:
    names = ("sound", "statistics", "telemetry", "reports")
    counts = {name: sum(headset.sent[name] for headset in fleet) for name in names}
    return counts | {"snapshot_bytes": sum(headset.snapshot_bytes for headset in fleet)}
