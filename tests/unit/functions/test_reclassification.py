"""Classification with an endpoint: its label if it is valid and in time, the layer's otherwise."""

import base64
import dataclasses
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from anc.noise import LABELS, Classifier
from anc.ports import EndpointUnavailable
from functions.classifier.handler import handler
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.fakes import Clock, FakePlatform, make_dependencies
from tests.processes import PATIENCE_S
from tests.untrained_models import untrained_model

SHA = "ab" * 32
Ask = Callable[..., dict[str, Any]]


def endpoint_response(label: str = "rail", confidence: float = 0.9, **other: Any) -> bytes:
    probabilities = {label: confidence, "road": round(1 - confidence, 6)}
    answer = {"label": label, "confidence": confidence, "probabilities": probabilities}
    return json.dumps(answer | {"model": "yamnet", "sha256": SHA, "emergency": False} | other).encode()


@pytest.fixture
def limit_s() -> float:
    """Give the time limit of the endpoint: the maximum setting, for tests whose endpoint answers."""
    return 10.0


@pytest.fixture
def platform(tmp_path: Path, clock: Clock, limit_s: float) -> FakePlatform:
    settings = {
        "rate_limit_scale": 1e3,
        "ml_model_path": str(untrained_model(tmp_path / "machine.npz", alarm=True, label="machine")),
        "ml_endpoint_timeout_s": limit_s,
    }
    return make_dependencies(tmp_path, clock, **settings)


@pytest.fixture
def ask(platform: FakePlatform) -> Ask:
    """Give `ask(seconds=, rate=, level=)`: classify a noise, and return the answer."""

    def request(seconds: float = 1.0, rate: int = 16_000, level: float = 0.1) -> dict[str, Any]:
        noise = level * np.random.default_rng(0).standard_normal(int(seconds * rate))
        buffer = io.BytesIO()
        soundfile.write(buffer, noise, rate, format="WAV")
        path, who = "/api/audio/classify", {"user": "alice", "role": "listener"}
        body = base64.b64encode(buffer.getvalue()).decode()
        event = rest_event("POST", path, path, {}, {}, {}, body, True, who, "127.0.0.1")
        answer = handler(event, LocalContext("classifier"), platform.deps)
        assert answer["statusCode"] == 200
        document: dict[str, Any] = json.loads(answer["body"])
        return document

    return request


def test_the_label_of_the_endpoint_is_returned_with_its_source(platform: FakePlatform, ask: Ask) -> None:
    platform.endpoint.response = endpoint_response()
    prediction = ask()
    assert (prediction["label"], prediction["confidence"]) == ("rail", 0.9)
    assert (prediction["model"], prediction["sha256"], prediction["answered_by"]) == (
        "yamnet",
        SHA,
        "endpoint",
    )
    assert list(prediction["probabilities"]) == list(LABELS)
    assert platform.counts["endpoint_answered"] == 1


def test_the_endpoint_does_not_silence_an_emergency(platform: FakePlatform, ask: Ask) -> None:
    platform.endpoint.response = endpoint_response(emergency=False, kinds={"siren": 0.0})
    assert ask()["emergency"]["active"]


@pytest.mark.parametrize(("fields", "score"), [({"kinds": {"horn": 0.97, "siren": 0.1}}, 0.97), ({}, None)])
def test_the_endpoint_raises_an_emergency_that_the_layer_missed(
    tmp_path: Path, platform: FakePlatform, ask: Ask, fields: dict[str, Any], score: float | None
) -> None:
    missed = untrained_model(tmp_path / "missed.npz", alarm=False)
    settings = msgspec.structs.replace(platform.deps.settings, ml_model_path=str(missed))
    platform.deps = dataclasses.replace(platform.deps, settings=settings)
    platform.endpoint.response = endpoint_response(emergency=True, **fields)
    answer = ask()
    assert answer["emergency"]["active"]
    assert answer["emergency"]["score"] == (score or answer["emergency"]["score"])
    assert answer["kinds"]["horn"] == (score or answer["kinds"]["horn"])


def test_without_an_endpoint_the_label_of_the_layer_is_returned_with_its_source(
    platform: FakePlatform, ask: Ask
) -> None:
    prediction = ask()
    assert (prediction["label"], prediction["model"], prediction["answered_by"]) == (
        "machine",
        "untrained",
        "layer",
    )
    assert prediction["sha256"] == Classifier.load(platform.deps.settings.ml_model_path).sha256
    assert platform.endpoint.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        EndpointUnavailable("HTTP 500"),
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"label": "rail"}',
        endpoint_response("submarine"),
        endpoint_response(confidence=1.5),
        endpoint_response(confidence=-0.1),
        endpoint_response().replace(b"0.9", b"NaN"),
        endpoint_response(probabilities={"rail": 0.9}),
        endpoint_response(probabilities={"rail": 0.2, "road": 0.8}),
        endpoint_response(probabilities={"rail": 0.9, "submarine": 0.1}),
        endpoint_response(sha256="none"),
        endpoint_response(model=""),
        endpoint_response(model="m" * 101),
    ],
)
def test_an_invalid_response_of_the_endpoint_is_ignored(platform: FakePlatform, ask: Ask, wrong: Any) -> None:
    platform.endpoint.response = wrong
    prediction = ask()
    assert (prediction["label"], prediction["answered_by"]) == ("machine", "layer")
    assert platform.counts["endpoint_failed"] == 1


@pytest.mark.parametrize("limit_s", [0.1])
def test_a_slow_endpoint_costs_at_most_the_time_limit(
    platform: FakePlatform, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()
    monkeypatch.setattr(type(platform.endpoint), "configured", True)
    monkeypatch.setattr(platform.endpoint, "invoke", lambda request: never.wait(PATIENCE_S))
    assert ask()["answered_by"] == "layer"
    assert not never.is_set()


def test_after_three_failures_the_endpoint_is_not_called_for_30_seconds(
    platform: FakePlatform, ask: Ask, clock: Clock
) -> None:
    platform.endpoint.response = EndpointUnavailable("ReadTimeoutError")
    for _ in range(5):
        assert ask()["answered_by"] == "layer"
    assert len(platform.endpoint.requests) == 3
    assert platform.counts["endpoint_circuit_open"] == 2
    clock.now += 30
    platform.endpoint.response = endpoint_response()
    assert ask()["answered_by"] == "endpoint"
    assert ask()["answered_by"] == "endpoint"


def test_the_endpoint_gets_at_most_16_khz_and_its_maximum_size(platform: FakePlatform, ask: Ask) -> None:
    platform.endpoint.response = endpoint_response()
    ask(seconds=1, rate=8_000)
    ask(seconds=2, rate=48_000)
    ask(seconds=60, rate=44_100)
    asked = [json.loads(question) for question in platform.endpoint.requests]
    assert [question["rate"] for question in asked] == [8_000, 16_000, 16_000]
    sizes = [len(base64.b64decode(question["pcm"])) for question in asked]
    assert sizes == pytest.approx([16_000, 64_000, 2 * 960_000], abs=4)
    assert max(map(len, platform.endpoint.requests)) < 4 << 20


def test_silence_is_not_sent_to_the_endpoint(platform: FakePlatform, ask: Ask) -> None:
    platform.endpoint.response = endpoint_response()
    assert ask(level=0.0)["label"] == "quiet"
    assert platform.endpoint.requests == []
