"""`python -m tests.stored_messages`: store a message of each kind that this version reads, with every field.

Writes `tests/data/messages-VERSION.json`: the texts, and what this version reads from them. Headsets, clients
and queues hold messages of earlier versions after an upgrade, so later versions must read the same. Run it at
each release, and keep the files of earlier ones.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from anc import __version__
from anc.schemas import claim, job, messages, path, shadow, telemetry, websocket
from anc.schemas.endpoint import EndpointRequest
from anc.schemas.refusal import parse_json

FOLDER = Path(__file__).parent / "data"
DEVICE = {"thing": "left", "payload": "QU5DMQ==", "at": 1_800_000_000_000}
FILTER: dict[str, Any] = {
    "id": "0123456789abcdef",
    "seq": 7,
    "rate": 16_000,
    "taps": 2,
    "dtype": "f16",
    "data": "AAAAPA==",
}
FILTER["sha256"] = "cd" * 32
FIRMWARE = {"version": "1.5.0", "url": "https://example.com/1.bin", "sha256": "ab" * 32, "size": 1024}
CONFIG = {"snapshot_interval_s": 30.0, "telemetry_interval_s": 900.0, "private": True}
STATE = {"mode": "cancel", "intensity": 0.5, "filter": FILTER, "reason": "siren", "without_control": 3}
STATE |= {"noise": {"label": "engine", "confidence": 0.75}, "config": CONFIG}
REPORTED = {"seq": 7, "active_mode": "transparency", "active_filter": FILTER["id"], "attenuation_db": 12.5}
REPORTED |= {"reverted": 1, "refused": "bad_hash", "firmware_version": "1.4.0", "firmware": "1.5.0"}
REPORTED |= {"update": {"version": "1.5.0", "state": "refused", "reason": "bad_hash"}}
TELEMETRY = {
    "battery": 0.5,
    "level_dbfs": -30.5,
    "attenuation_db": 12.5,
    "mode": "cancel",
    "firmware": "1.4.0",
}
TELEMETRY |= {"filters": 3, "reverted": 1, "refused": "bad_hash", "age_s": 60.0, "run": 2, "line": 9}
PATH = {"secondary": [0.0, 0.5], "rate": 16_000, "played": "probe", "fit_db": 21.5, "seq": 4}
START = {"mode": "predict", "algorithm": "fdaf", "rate": 48_000, "channels": 1, "taps": 64, "mu": 0.25}
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "message to the processor": [
        {"kind": kind, **DEVICE} for kind in ("snapshot", "telemetry", "path", "presence", "shadow_rejected")
    ],
    "message about a recording": [{"kind": "recording_waiting", "job": "j1", "owner": "ann"}],
    "message to the sender": [
        {"kind": "control_changed", "thing": "left", "at": 1.5, "ends": 11.5},
        {"kind": "recording_finished", "job": "j1"},
    ],
    "message to the classifier": [
        {"kind": "reclassification", "thing": "left", "seq": 7, "label": "rail", "uncertain": False}
        | {"question": {"rate": 16_000, "pcm": "AAA="}, "suspect": True, "at": 1.5}
    ],
    "frame": [
        {"action": "start", "horizon": 32, **START},
        {"action": "audio", "session": "s1", "seq": 7, "pcm": "AAAAAA=="},
        {"action": "set", "session": "s1", "enabled": False, "intensity": 0.5, "algorithm": "nlms"},
        {"action": "stop", "session": "s1"},
        {"action": "watch", "device": "left"},
        {"action": "ping"},
    ],
    "telemetry": [TELEMETRY],
    "path": [PATH],
    "desired state": [STATE | {"firmware": FIRMWARE}],
    "reported state": [STATE | REPORTED],
    "signing request": [{"certificateSigningRequest": "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n"}],
    "registration": [{"certificateOwnershipToken": "t", "parameters": {"SerialNumber": "left-1"}}],
    "request for a job": [{"clientToken": "a"}],
    "progress of a job": [
        {"status": "FAILED", "statusDetails": {"reason": "bad_hash"}, "clientToken": "a"},
    ],
    "job": [{"firmware": FIRMWARE, "config": CONFIG}],
    "request to the endpoint": [{"rate": 16_000, "pcm": "AAA="}],
}
READERS: dict[str, Callable[[str], Any]] = {
    "message to the processor": lambda text: messages.decode(text, messages.ProcessorMessage),
    "message about a recording": lambda text: messages.decode(text, messages.RecordingMessage),
    "message to the sender": lambda text: messages.decode(text, messages.SenderMessage),
    "message to the classifier": lambda text: messages.decode(text, messages.ReclassificationRequest),
    "frame": websocket.parse_request,
    "telemetry": lambda text: telemetry.parse_reports(text.encode()),
    "path": lambda text: path.parse_path(text.encode()),
    "desired state": shadow.parse_desired,
    "reported state": lambda text: parse_json(text, shadow.Reported),
    "signing request": lambda text: parse_json(text, claim.SigningRequest),
    "registration": lambda text: parse_json(text, claim.Registration),
    "request for a job": lambda text: parse_json(text, job.JobRequest),
    "progress of a job": lambda text: parse_json(text, job.ExecutionUpdate),
    "job": lambda text: parse_json(text, job.JobDocument),
    "request to the endpoint": lambda text: parse_json(text, EndpointRequest),
}


def read(kind: str, text: str) -> Any:
    """Return the fields that this version reads from a message, as in JSON."""
    return json.loads(msgspec.json.encode(READERS[kind](text)))


def examples() -> list[dict[str, Any]]:
    """Return each example as a text, and what is read from it."""
    texts = [(kind, json.dumps(each)) for kind, known in EXAMPLES.items() for each in known]
    return [{"kind": kind, "text": text, "read": read(kind, text)} for kind, text in texts]


if __name__ == "__main__":
    (FOLDER / f"messages-{__version__}.json").write_text(json.dumps(examples(), indent=1) + "\n")
