"""An alarm in a live session: transparency starts at once, and the hold ends by itself."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from functions.audio_receiver.handler import handler
from local.lambda_context import LocalContext
from local.lambda_events import socket_event
from tests.fakes import Clock, FakePlatform, make_dependencies
from tests.untrained_models import untrained_model

RATE, BLOCK = 16_000, 1_600
HOLD_S = 2.0


def begin(deps: FakePlatform) -> str:
    return str(say(deps, {"action": "start", "rate": RATE, "taps": 16})["session"])


def say(deps: FakePlatform, frame: dict[str, Any]) -> dict[str, Any]:
    who = {"user": "alice", "role": "listener"}
    event = socket_event("MESSAGE", "audio", "socket-1", 0.0, who, body=json.dumps(frame))
    answer: dict[str, Any] = json.loads(handler(event, LocalContext("audio_receiver"), deps.deps)["body"])
    return answer


def send_siren(deps: FakePlatform, session: str, blocks: range) -> list[tuple[str, dict[str, Any]]]:
    """Stream noise; return the sent primary and the response of each block."""
    results = []
    for seq in blocks:
        x = np.random.default_rng(seq).integers(-3000, 3000, BLOCK).astype("<i2")
        pcm = base64.b64encode(np.stack([x, x // 2], axis=1).tobytes()).decode()
        answer = say(deps, {"action": "audio", "session": session, "seq": seq, "pcm": pcm})
        results.append((base64.b64encode((x // 2).tobytes()).decode(), answer))
    return results


def test_an_alarm_switches_a_session_to_transparency_with_its_reason(tmp_path: Path, clock: Clock) -> None:
    model = untrained_model(tmp_path / "alarm.npz", alarm=True)
    deps = make_dependencies(tmp_path, clock, ml_model_path=str(model))
    for primary, answer in send_siren(deps, begin(deps), range(20))[15:]:
        assert answer["emergency"]["active"]
        assert answer["emergency"]["score"] > 0.9
        assert answer["pcm"] == primary
        assert answer["attenuation_db"] == 0


def test_with_detection_disabled_an_alarm_is_cancelled_like_any_noise(tmp_path: Path, clock: Clock) -> None:
    model = untrained_model(tmp_path / "alarm.npz", alarm=True)
    deps = make_dependencies(tmp_path, clock, ml_model_path=str(model), emergency_detection_enabled=False)
    for primary, answer in send_siren(deps, begin(deps), range(20)):
        assert not answer["emergency"]["active"]
        assert answer["pcm"] != primary


def test_without_an_alarm_the_session_keeps_cancelling(tmp_path: Path, clock: Clock) -> None:
    model = untrained_model(tmp_path / "calm.npz", alarm=False)
    deps = make_dependencies(tmp_path, clock, ml_model_path=str(model))
    for primary, answer in send_siren(deps, begin(deps), range(20)):
        assert not answer["emergency"]["active"]
        assert answer["pcm"] != primary


def test_the_hold_is_measured_in_audio_time_and_the_filter_keeps_adapting(
    tmp_path: Path, clock: Clock
) -> None:
    alarmed, calm = (
        make_dependencies(
            tmp_path,
            clock,
            ml_model_path=str(untrained_model(tmp_path / f"{alarm}.npz", alarm=alarm)),
            emergency_hold_s=HOLD_S,
        )
        for alarm in (True, False)
    )
    session = begin(alarmed)
    send_siren(alarmed, session, range(20))
    open_blocks = [answer["emergency"]["active"] for _, answer in send_siren(calm, session, range(20, 60))]
    assert all(open_blocks[: int(HOLD_S * RATE / BLOCK) - 5])
    assert not any(open_blocks[int(HOLD_S * RATE / BLOCK) + 5 :])
    assert send_siren(calm, session, range(60, 61))[0][1]["attenuation_db"] > 10
