"""A classifier model that cannot be loaded: every path fails open and gives the reason."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anc.noise import classifier
from anc.noise.classifier import DEFAULT_MODEL
from anc.pcm import float_to_int16
from anc.records import Watch
from anc.schemas.snapshot import Snapshot
from anc.services import emergencies
from anc.services.emergencies import EmergencyQuery
from anc.services.headsets import control, devices
from anc.services.headsets.devices import Registration
from anc.services.sound import detection
from functions.anc_processor.handler import handler as anc_processor
from functions.classifier.handler import handler as classify
from iot.emergency_detector import FailOpenDetector
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from local.storage.queues import Message, sqs_event
from simulation.headset import make_emergency_detector
from tests.fakes import ALICE, Clock, FakePlatform, make_dependencies
from tests.recordings import done, result, sound_file, two_microphones, uploaded

RATE = 16_000
WHY = "the detection model cannot be loaded"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Give the shipped model without its last bytes."""
    path = tmp_path / "model.npz"
    path.write_bytes(DEFAULT_MODEL.read_bytes()[:-5000])
    return path


@pytest.fixture
def platform(tmp_path: Path, clock: Clock, damaged: Path) -> FakePlatform:
    """Give a platform with a damaged model."""
    return make_dependencies(tmp_path / "data", clock, ml_model_path=str(damaged), rate_limit_scale=1e3)


def heard_as(seq: int) -> bytes:
    x = 0.05 * np.random.default_rng(seq).standard_normal(8000)
    pcm = float_to_int16(np.stack([x, np.concatenate([np.zeros(3), 0.6 * x[:-3]])], axis=1))
    return Snapshot(seq, RATE, 8000, "", pcm=pcm).encode()


def take(platform: FakePlatform, seq: int) -> dict[str, Any]:
    """Process a snapshot and deliver its updates; return the shadow's desired state."""
    body = {"kind": "snapshot", "thing": "left", "payload": base64.b64encode(heard_as(seq)).decode()}
    event = sqs_event("snapshots", [Message(0, json.dumps(body), 1)])
    answer = anc_processor(event, LocalContext("anc_processor"), platform.deps)
    assert answer["batchItemFailures"] == []
    control.deliver("left", platform.deps)
    document = platform.deps.shadows.get("left")
    assert document
    wanted: dict[str, Any] = document["state"]["desired"]
    return wanted


@pytest.fixture
def headset(platform: FakePlatform) -> None:
    """Register a headset of Alice, who watches it."""
    devices.register(Registration("left", [0.0, 0.5, 0.2], rate=RATE, taps=32), ALICE, platform.deps)
    platform.deps.watches.put(Watch(key="left#c", group="left", connection="c"))


def test_without_a_model_a_live_session_passes_the_primary_through_with_a_reason(
    say: Callable[..., Any],
) -> None:
    session = say({"action": "start", "rate": RATE, "taps": 16})["session"]
    x = np.random.default_rng(1).integers(-3000, 3000, 1600).astype("<i2")
    pcm = base64.b64encode(np.stack([x, x // 2], axis=1).tobytes()).decode()
    for seq in range(12):  # more than the second that a detection takes
        answer = say({"action": "audio", "session": session, "seq": seq, "pcm": pcm})
        assert answer["emergency"]["active"]
        assert WHY in answer["emergency"]["reason"]
        assert base64.b64decode(answer["pcm"]) == (x // 2).tobytes()


@pytest.mark.usefixtures("headset")
def test_without_a_model_a_headset_stays_in_transparency_with_a_reason(
    platform: FakePlatform, clock: Clock
) -> None:
    for seq in range(1, 4):
        wanted = take(platform, seq)
        assert wanted["mode"] == "transparency"
        assert WHY in wanted["reason"]
        news = json.loads(platform.sockets.posted[-1][1])
        assert (news["mode"], news["reason"]) == ("transparency", wanted["reason"])
        clock.now += 15.0  # the headset's slow timer, longer than the hold of an alarm
        control.deliver("left", platform.deps)
        assert platform.deps.shadows.get("left")["state"]["desired"]["mode"] == "transparency"  # type: ignore[index]
    assert emergencies.search(EmergencyQuery(), ALICE, platform.deps).events == [], "no alarm was detected"


@pytest.mark.usefixtures("headset")
def test_when_the_model_loads_again_the_next_snapshot_ends_transparency(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert take(platform, 1)["mode"] == "transparency"
    whole = classifier.Classifier.load()
    monkeypatch.setattr(detection, "load_classifier", lambda settings: whole)
    wanted = take(platform, 2)
    assert (wanted["mode"], wanted["reason"]) == ("cancel", "")


def test_without_a_model_classification_is_refused_and_emergency_detection_fails_open(
    platform: FakePlatform, call: Callable[..., Any]
) -> None:
    sound = base64.b64encode(sound_file(two_microphones(1.0))).decode()
    path = "/api/audio/classify"
    who = {"user": "alice", "role": "listener"}
    event = rest_event("POST", path, path, {}, {}, {}, sound, True, who, "127.0.0.1")
    answer = classify(event, LocalContext("classifier"), platform.deps)
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["code"]) == (503, "unavailable")
    assert problem["detail"].startswith("model: cannot be loaded")
    status, detection, _ = call("POST", "/api/emergency/detect", sound, is_base64=True)
    assert (status, detection["active"]) == (200, True)
    assert WHY in detection["reason"]


def test_without_a_model_the_health_is_degraded_and_names_the_fault(
    platform: FakePlatform, call: Callable[..., Any], damaged: Path
) -> None:
    status, health, _ = call("GET", "/health")
    assert (status, health["status"], health["ready"]) == (200, "degraded", True)
    assert health["checks"]["classifier"] == "ModelError"
    assert call("GET", "/api/models", role="admin")[1]["models"] == []
    assert str(damaged) not in json.dumps(health), "the health does not contain paths"
    assert platform.counts["classification_failed"] > 0


def test_without_a_model_a_recording_is_processed_and_its_report_says_not_classified(
    platform: FakePlatform,
) -> None:
    job = uploaded(platform.deps, sound_file(two_microphones()))
    assert done(platform.deps, job).state == "done"
    report = json.loads(result(platform.deps, job, "report.json"))
    assert report["noise"] is None
    assert report["emergencies"] is None


def test_a_headset_with_a_damaged_model_is_in_transparency_with_a_reason(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "DEFAULT_MODEL", damaged)
    detector = make_emergency_detector(RATE)
    assert detector.holding
    detector.process(np.zeros(160, np.float32))
    assert detector.holding
    assert isinstance(detector, FailOpenDetector)
    assert detector.reason == "the model cannot be loaded"
