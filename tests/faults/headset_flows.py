"""The flows of sound, telemetry and presence."""

import base64
import json
from functools import cache
from typing import Any

import numpy as np

from anc.headset_records import Control, SentFilter, Telemetry
from anc.pcm import float_to_int16
from anc.records import SocketConnection, Stream
from anc.schemas.endpoint import EndpointRequest
from anc.schemas.messages import ReclassificationRequest, encode
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import Audio
from anc.services import emergencies
from anc.services.access import identity
from anc.services.emergencies import EmergencyQuery
from anc.services.headsets import control, device_status, telemetry
from anc.services.sound import jobs, sessions, streaming
from tests.alarms import siren
from tests.fakes import ALICE
from tests.faults.flow import RATE, TAPS, registered, unless
from tests.faults.platform import FaultyPlatform
from tests.recordings import sound_file, two_microphones

LABEL_OF_ENDPOINT = "rail"


@cache
def noise(seq: int, seconds: float = 0.6) -> bytes:
    """Return a snapshot of low noise, which a filter cancels so well that it is shared with the fleet."""
    kernel = np.sinc(0.1 * np.arange(-40, 41)) * np.hamming(81)
    x = 0.05 * np.convolve(np.random.default_rng(1).standard_normal(int(RATE * seconds)), kernel, "same")
    d = np.convolve(x, [0.0] * 9 + [0.6])[: x.size]
    return Snapshot(seq, RATE, x.size, "", pcm=float_to_int16(np.stack([x, d], axis=1))).encode()


@cache
def alarm(seq: int) -> bytes:
    """Return a snapshot of a siren."""
    x = siren(0.6, RATE)
    return Snapshot(seq, RATE, x.size, "", pcm=float_to_int16(np.stack([x, 0.5 * x], axis=1))).encode()


def check_shadow(here: FaultyPlatform, thing: str) -> Control:
    """Check that the shadow desires what the platform decided last, and that nothing is pending."""
    known = here.fake.deps.controls.get(thing)
    assert known is not None
    wanted = {
        name: value for name, value in control.desired(known, here.fake.deps).items() if value is not None
    }
    assert here.desired(thing) == json.loads(json.dumps(wanted)), "the shadow is outdated"
    assert wanted["mode"] == "cancel", "the hold never ends"
    assert known.pending_emergency is None, "an emergency was not published"
    return known


def check_opened_once(here: FaultyPlatform, source: str) -> None:
    """Check that an alarm has exactly one event and was announced."""
    found = emergencies.search(EmergencyQuery(source=source), ALICE, here.fake.deps).events
    assert len(found) == 1, f"{len(found)} events of one alarm"
    assert any(source in text for text in here.fake.alerts.messages), "no notification was sent"


def endpoint_answer(**more: Any) -> bytes:
    probabilities = {LABEL_OF_ENDPOINT: 0.9, "road": 0.1}
    answer = {"label": LABEL_OF_ENDPOINT, "confidence": 0.9, "probabilities": probabilities}
    return json.dumps(answer | {"model": "yamnet", "sha256": "ab" * 32, "emergency": False} | more).encode()


def classified_again(here: FaultyPlatform, thing: str) -> None:
    registered(here, thing)
    here.fake.endpoint.response = endpoint_answer()


def send_snapshots(here: FaultyPlatform, thing: str) -> None:
    for seq in (1, 2):
        here.publish("snapshot", thing, noise(seq))
        here.clock.now += 0.3
    here.run()


def check_snapshots(here: FaultyPlatform, thing: str) -> None:
    known = check_shadow(here, thing)
    assert known.seq == 2
    assert known.filters, "no filter was designed"
    labels = {known.noise, known.reclassified_from} - {""}
    groups = [f"{RATE}#{TAPS}#{label}#{thing}" for label in labels]
    assert all(len(here.fake.deps.fleets.list(group)) <= 1 for group in groups), "contributed twice"


def send_alarm(here: FaultyPlatform, thing: str) -> None:
    for payload in (noise(1), alarm(2), noise(3)):
        here.publish("snapshot", thing, payload)
        here.clock.now += 0.3
    here.run()


def check_alarm(here: FaultyPlatform, thing: str) -> None:
    check_shadow(here, thing)
    assert here.transparent(thing), "the alarm did not open the headset"
    check_opened_once(here, thing)


def suspected(here: FaultyPlatform, thing: str) -> None:
    registered(here, thing)
    sent = SentFilter.of(np.ones(TAPS, "<f2").tobytes(), 1, RATE, 10.0)
    here.fake.deps.controls.put(Control(key=thing, group="alice", seq=1, noise="road", filters=(sent,)))
    here.fake.endpoint.response = endpoint_answer(emergency=True, emergency_score=0.9, kinds={"siren": 0.9})


def ask_endpoint(here: FaultyPlatform, thing: str) -> None:
    question = EndpointRequest(RATE, base64.b64encode(bytes(2 * RATE)).decode())
    request = ReclassificationRequest(thing, 1, "road", question, True, True, here.clock())
    for _ in range(1 + here.twice):
        here.queues["reclassifications"].put(json.loads(encode(request)))
    here.run()


def check_reclassified(here: FaultyPlatform, thing: str) -> None:
    """The endpoint is optional: without its answer nothing changes; with it, all of it takes effect."""
    known = here.fake.deps.controls.get(thing)
    assert known is not None
    if known.emergency_until or known.noise == LABEL_OF_ENDPOINT:
        check_shadow(here, thing)
    if known.emergency_until:
        assert here.transparent(thing), "the alarm did not open the headset"
        check_opened_once(here, thing)


@cache
def loud_block(seq: int) -> str:
    x = siren(1.5, RATE)[seq * 6_000 : (seq + 1) * 6_000]
    return base64.b64encode(float_to_int16(np.stack([x, 0.5 * x], axis=1)).tobytes()).decode()


BLOCKS = 4


def live_session(here: FaultyPlatform, session: str) -> None:
    stream = Stream(
        key=session, group="alice", mode="cancel", rate=RATE, channels=2, taps=TAPS, mu=0.5, created=1.0
    )
    here.fake.deps.streams.put(stream)


def stream_blocks(here: FaultyPlatform, session: str) -> None:
    answers = []
    for seq in range(BLOCKS):
        block = Audio(session=session, seq=seq, pcm=loud_block(seq))
        answers.append(here.request(lambda deps, block=block: streaming.filter_block(block, ALICE, deps)))
        here.clock.now += 0.5
    assert [answer.seq for answer in answers] == list(range(BLOCKS))
    assert answers[-1].emergency.active, "the alarm did not open the session"
    stored = here.fake.deps.streams.get(session)
    assert stored is not None
    assert (stored.seq, stored.blocks, stored.gaps) == (BLOCKS - 1, BLOCKS, 0), "a block was filtered twice"
    here.request(lambda deps: unless("unknown_session", sessions.end, session, ALICE, deps))


def check_streamed(here: FaultyPlatform, session: str) -> None:
    check_opened_once(here, session)
    assert here.fake.deps.streams.get(session) is None


def watching(here: FaultyPlatform, name: str) -> None:
    here.fake.deps.connections.put(
        SocketConnection(key=f"socket-{name}", group=f"user-{name}", role="listener")
    )


def upload(here: FaultyPlatform, name: str) -> None:
    owner = identity.Caller(f"user-{name}")
    file = recording()
    request = jobs.UploadRequest(len(file), name=name)
    job = here.request(lambda deps: jobs.create(request, owner, deps)).job
    here.request(lambda deps: deps.objects.put(f"uploads/{job}", file))
    if here.twice:
        here.request(lambda deps: deps.objects.put(f"uploads/{job}", file))
    here.run()


@cache
def recording() -> bytes:
    return sound_file(two_microphones(0.6))


def check_recording(here: FaultyPlatform, name: str) -> None:
    deps = here.fake.deps
    found = [job for job in deps.jobs.list(f"user-{name}") if job.state != "uploading"]
    assert [job.state for job in found] == ["done"], "the recording was not processed"
    (job,) = found
    result = deps.objects.get(f"results/{job.key}/cleaned.wav")
    RESULTS[:] = RESULTS or [result]
    assert result == RESULTS[0], "the result is not that of an undisturbed run"
    assert deps.objects.get(f"results/{job.key}/report.json")
    for left in (f"uploads/{job.key}", f"work/{job.key}/first", f"work/{job.key}/{job.blocks}"):
        assert deps.objects.get(left) is None, f"{left} is left over"


RESULTS: list[bytes | None] = []  # of the undisturbed run


def reports(here: FaultyPlatform, thing: str) -> None:
    for line in (1, 2, 3):
        report = {"battery": 0.5, "reverted": line, "run": 7, "line": line}
        here.publish("telemetry", thing, json.dumps(report).encode())
        here.clock.now += 10.0
    here.run()


def check_reports(here: FaultyPlatform, thing: str) -> None:
    at, latest = telemetry.latest(thing, ALICE, here.fake.deps)
    assert latest.reverted == 3, "the latest report was lost"
    stored = [telemetry.report_of(each).reverted for each in _history(here, thing)]
    assert stored == [1, 2, 3], "the history has not each report once"
    assert at is not None


def _history(here: FaultyPlatform, thing: str) -> list[Telemetry]:
    return list(telemetry.history(thing, ALICE, here.fake.deps))


def come_and_go(here: FaultyPlatform, thing: str) -> None:
    for session, kinds in (("a", ("connected", "disconnected")), ("b", ("connected",))):
        for kind in kinds:
            event = {"clientId": thing, "timestamp": int(here.clock() * 1000), "eventType": kind}
            here.publish("presence", thing, json.dumps(event | {"sessionIdentifier": session}).encode())
            here.clock.now += 2.0
    here.run()


def check_presence(here: FaultyPlatform, thing: str) -> None:
    assert device_status.find(thing, here.fake.deps).online is True, "the last event was lost"


def measure_path(here: FaultyPlatform, thing: str) -> None:
    path = {"secondary": [0.0, 0.5, 0.1], "rate": RATE, "played": "probe", "fit_db": 21.0, "seq": 1}
    here.publish("path", thing, json.dumps(path).encode())
    here.run()


def check_path(here: FaultyPlatform, thing: str) -> None:
    device = here.fake.deps.devices.get(thing)
    assert device is not None
    assert np.frombuffer(device.secondary, "<f4")[1] == 0.5, "the path was lost"
