"""Units of work of the functions, which may be repeated, for `test_throttles`."""

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from anc.headset_records import Control, Device, SentFilter
from anc.pcm import float_to_int16
from anc.ports import Dependencies
from anc.records import Job, SocketConnection, Stream, Watch
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import Audio
from anc.services.sound import streaming
from functions.anc_processor.handler import handler as anc_processor
from functions.audio_sender.handler import handler as audio_sender
from functions.recording_processor.handler import handler as recording_processor
from functions.rest_api.handler import handler as rest_api
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from local.storage.queues import Message, sqs_event
from tests.fakes import ALICE
from tests.recordings import sound_file, two_microphones

RATE = 16_000


class Flow(NamedTuple):
    """A unit of work, which may be repeated.

    Attributes
    ----------
    prepare : callable
        Stores what exists before.
    run : callable
        Does the work and returns whether it succeeded; an exception means that it did not.
    result : callable
        Returns what the work must have achieved.
    essential : str
        Name of the table that is otherwise optional, and that this work is for.
    """

    prepare: Callable[[Dependencies, str], Any]
    run: Callable[[Dependencies, str], bool]
    result: Callable[[Dependencies, str], Any]
    essential: str = "none"


def consume(handler: Callable[..., Any], deps: Dependencies, message: dict[str, Any]) -> bool:
    event = sqs_event("queue", [Message(1, msgspec.json.encode(message).decode(), 1)])
    return not handler(event, LocalContext("function"), deps)["batchItemFailures"]


def publish(kind: str, thing: str, payload: bytes, deps: Dependencies) -> bool:
    text = base64.b64encode(payload).decode()
    at = int(deps.clock() * 1000)
    return consume(anc_processor, deps, {"kind": kind, "thing": thing, "at": at, "payload": text})


def register(deps: Dependencies, thing: str) -> None:
    secondary = np.array([0.0, 0.0, 0.6, 0.3], "<f4").tobytes()
    deps.devices.put(
        Device(key=thing, group="alice", model=thing, rate=RATE, taps=64, secondary=secondary, created=1.0)
    )


def tone_snapshot() -> bytes:
    """Return a second of low noise, which a filter cancels so well that it is shared with the fleet."""
    kernel = np.sinc(0.1 * np.arange(-40, 41)) * np.hamming(81)
    x = 0.05 * np.convolve(np.random.default_rng(1).standard_normal(RATE), kernel, "same")
    d = np.convolve(x, [0.0] * 9 + [0.6])[: x.size]
    pcm = float_to_int16(np.stack([x, d], axis=1))
    return Snapshot(1, RATE, len(pcm), "", pcm=pcm).encode()


def designed(deps: Dependencies, thing: str) -> Any:
    known = deps.controls.get(thing)
    assert known is not None
    return known.seq, [each.id for each in known.filters], known.noise


def refused(deps: Dependencies, thing: str) -> bool:
    return publish("snapshot", thing, b"nonsense", deps)


def reported(deps: Dependencies, thing: str) -> Any:
    known = deps.telemetry.get(thing)
    assert known is not None
    return known.report, [each.report for each in deps.history.list(f"{thing}#1000")]


def watched(deps: Dependencies, thing: str) -> None:
    register(deps, thing)
    sent = SentFilter.of(np.ones(64, "<f2").tobytes(), 1, RATE, 10.0)
    deps.controls.put(Control(key=thing, group="alice", seq=1, filters=(sent,)))
    deps.connections.put(SocketConnection(key=f"socket-{thing}", group="alice", role="listener"))
    deps.watches.put(Watch(key=f"{thing}#1", group=thing, connection=f"socket-{thing}", registered=1.0))


def deliver(deps: Dependencies, thing: str) -> bool:
    return consume(audio_sender, deps, {"kind": "control_changed", "thing": thing})


def delivered(deps: Dependencies, thing: str) -> Any:
    shadow = deps.shadows.get(thing)
    assert shadow is not None
    return shadow["state"]["desired"]["filter"]["id"]


def streamed(deps: Dependencies, session: str) -> bool:
    block = Audio(session=session, seq=0, pcm=base64.b64encode(bytes(4 * 1600)).decode())
    return streaming.filter_block(block, ALICE, deps).seq == 0


def begun(deps: Dependencies, session: str) -> None:
    deps.streams.put(
        Stream(key=session, group="alice", mode="cancel", rate=RATE, channels=2, taps=64, mu=0.5, created=1.0)
    )


def filtered(deps: Dependencies, session: str) -> Any:
    known = deps.streams.get(session)
    assert known is not None
    return known.seq, known.blocks, known.samples


def recorded(deps: Dependencies, job: str) -> None:
    file = sound_file(two_microphones(0.3))
    deps.jobs.put(Job(key=job, group="alice", size=len(file), created=deps.clock()))
    deps.objects.put(f"uploads/{job}", file)


def process(deps: Dependencies, job: str) -> bool:
    return consume(recording_processor, deps, {"kind": "recording_waiting", "job": job})


def finished(deps: Dependencies, job: str) -> Any:
    known = deps.jobs.get(job)
    assert known is not None
    return known.state, deps.objects.get(f"results/{job}/cleaned.wav")


def connected(deps: Dependencies, thing: str) -> bool:
    event = {"clientId": thing, "timestamp": 2000, "eventType": "connected", "sessionIdentifier": "s"}
    return publish("presence", thing, msgspec.json.encode(event), deps)


def online(deps: Dependencies, thing: str) -> Any:
    known = deps.statuses.get(thing)
    assert known is not None
    return known.online


def measured(deps: Dependencies, thing: str) -> bool:
    path = {"secondary": [0.0, 0.5, 0.1], "rate": RATE, "played": "probe", "fit_db": 21.0}
    return publish("path", thing, msgspec.json.encode(path), deps)


def path_of(deps: Dependencies, thing: str) -> Any:
    device = deps.devices.get(thing)
    assert device is not None
    return device.secondary


def requested(deps: Dependencies, session: str) -> bool:
    who = {"principalId": "alice", "user": "alice", "role": "listener"}
    path = f"/api/sessions/{session}"
    event = rest_event(
        "GET", "/api/sessions/{id}", path, {"id": session}, {}, {}, None, False, who, "192.0.2.1"
    )
    return bool(rest_api(event, LocalContext("rest_api"), deps)["statusCode"] == 200)


def nothing(deps: Dependencies, name: str) -> None:
    return None


FLOWS = {
    "snapshot": Flow(register, lambda deps, n: publish("snapshot", n, tone_snapshot(), deps), designed),
    "refused snapshot": Flow(register, refused, nothing),
    "telemetry": Flow(register, lambda deps, n: publish("telemetry", n, b'{"battery":0.5}', deps), reported),
    "presence": Flow(register, connected, online, "statuses"),
    "path": Flow(register, measured, path_of),
    "request": Flow(begun, requested, nothing),
    "delivery": Flow(
        watched,
        lambda deps, n: consume(audio_sender, deps, {"kind": "control_changed", "thing": n}),
        delivered,
    ),
    "live block": Flow(begun, streamed, filtered),
    "recording": Flow(recorded, process, finished),
}
