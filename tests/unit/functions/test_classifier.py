"""`POST /api/audio/classify`: supported sound files, and damaged or misleading ones."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.noise import KINDS, LABELS
from functions.classifier.handler import handler
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.fakes import Clock, FakePlatform, make_dependencies
from tests.sounds import RATE, encoded, floats, noise, wav
from tests.untrained_models import untrained_model

Classify = Callable[[bytes], tuple[int, Any, str]]


@pytest.fixture
def platform(tmp_path: Path, clock: Clock) -> FakePlatform:
    model = untrained_model(tmp_path / "machine.npz", alarm=False, label="machine")
    return make_dependencies(tmp_path, clock, rate_limit_scale=1e3, ml_model_path=str(model))


def request(deps: FakePlatform, body: str | None, is_base64: bool, **query: str) -> tuple[int, Any, str]:
    path = "/api/audio/classify"
    who = {"user": "alice", "role": "listener"}
    event = rest_event("POST", path, path, {}, query, {}, body, is_base64, who, "127.0.0.1")
    answer = handler(event, LocalContext("classifier"), deps.deps)
    return answer["statusCode"], json.loads(answer["body"]), answer["multiValueHeaders"]["Content-Type"][0]


@pytest.fixture
def classify(platform: FakePlatform) -> Classify:
    return lambda data: request(platform, base64.b64encode(data).decode(), True)


@pytest.fixture
def refused(classify: Classify, platform: FakePlatform) -> Callable[..., None]:
    def check(data: bytes, code: str, says: str) -> None:
        status, document, kind = classify(data)
        assert (status, kind) == (413 if code == "too_large" else 400, "application/problem+json")
        assert (document["status"], document["code"]) == (status, code)
        assert says in document["detail"]
        assert platform.counts[f"refused_{code}"] == 1

    return check


def test_a_classification_contains_all_probabilities_and_the_model(classify: Classify) -> None:
    status, prediction, kind = classify(encoded(noise(1.0, 1)))
    assert (status, kind) == (200, "application/json")
    source_fields = {"model", "sha256", "answered_by", "truncated", "note"}
    assert set(prediction) == {"label", "confidence", "probabilities", "emergency", "kinds", *source_fields}
    assert (prediction["label"], prediction["model"], prediction["answered_by"]) == (
        "machine",
        "untrained",
        "layer",
    )
    assert prediction["confidence"] == prediction["probabilities"]["machine"] > 0.9
    assert set(prediction["probabilities"]) == set(LABELS)
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert prediction["emergency"] == {"active": False, "score": max(prediction["kinds"].values())}
    assert set(prediction["kinds"]) == set(KINDS)


def test_the_shipped_model_classifies_a_sound(tmp_path: Path, clock: Clock) -> None:
    shipped = make_dependencies(tmp_path, clock)
    status, prediction, _ = request(shipped, base64.b64encode(encoded(noise(1.0, 1))).decode(), True)
    assert status == 200
    assert prediction["label"] in LABELS
    assert prediction["model"] != "untrained"


def test_silence_is_classified_as_quiet_by_any_model(classify: Classify) -> None:
    assert classify(encoded(np.zeros((RATE, 1))))[1]["label"] == "quiet"


def test_an_alarm_is_an_emergency(tmp_path: Path, clock: Clock, platform: FakePlatform) -> None:
    model = untrained_model(tmp_path / "alarm.npz", alarm=True)
    alarmed = make_dependencies(tmp_path, clock, ml_model_path=str(model))
    _, prediction, _ = request(alarmed, base64.b64encode(encoded(noise(1.0, 1))).decode(), True)
    assert prediction["emergency"]["active"]


@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_16", 8_000, 1),
        ("WAV", "PCM_24", 44_100, 2),
        ("WAV", "FLOAT", 192_000, 1),
        ("WAV", "PCM_U8", 16_000, 8),
        ("FLAC", None, 48_000, 2),
        ("OGG", "VORBIS", 48_000, 1),
        ("MP3", None, 44_100, 2),
        ("AIFF", "PCM_24", 44_100, 2),
        ("CAF", "ALAC_16", 48_000, 1),
    ],
)
def test_files_of_all_supported_formats_are_classified(
    classify: Classify, kind: str, subtype: str | None, rate: int, channels: int
) -> None:
    status, prediction, _ = classify(encoded(noise(1.0, channels, rate), kind, subtype, rate))
    assert (status, prediction["label"]) == (200, "machine")


def test_channels_that_cancel_each_other_are_classified_on_their_own(classify: Classify) -> None:
    x = noise(1.0, 1)
    assert classify(encoded(np.hstack([x, -x])))[1]["label"] == classify(encoded(x))[1]["label"] == "machine"


def test_samples_beyond_full_scale_are_clipped_and_not_refused(classify: Classify) -> None:
    assert classify(floats(100 * noise(1.0, 1)))[0] == 200


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", "bad_field", "file: empty (0 bytes)"),
        (b"garbage " * 100, "bad_field", "file: not a sound file"),
        (b"RIFF\0\0\0\0WAVE", "bad_field", "file: the header is damaged"),
        (encoded(noise(1.0, 1), "FLAC")[:100], "bad_field", "file: "),
        (wav(b""), "bad_field", "file: contains no samples"),
        (wav(bytes(3200), channels=0), "bad_field", "file: the header is damaged"),
        (wav(bytes(400 * 8000), channels=200), "bad_field", "file: must have at most 8 channels (got 200)"),
        (wav(bytes(65_535 * 2), channels=65_535), "bad_field", "file: the header is damaged"),
        (wav(bytes(32_000), rate=7_999), "bad_field", "file: the sample rate must be 8,000 to"),
        (wav(bytes(32_000), rate=2**31 - 1), "bad_field", "file: the sample rate must be 8,000 to"),
        (wav(bytes(2 * 8_000 * 61), rate=8_000), "too_large", "file: must be at most 60 s long (got 61 s)"),
        (encoded(noise(0.2, 1)), "bad_field", "file: must be at least 0.25 s long (got 0.200 s)"),
        (floats(np.full((RATE, 1), np.nan)), "bad_field", "samples must be finite"),
        (floats(np.full((RATE, 1), np.inf)), "bad_field", "samples must be finite"),
    ],
    ids=[
        *("nothing", "garbage", "header alone", "cut flac", "no samples", "no channels", "200 channels"),
        *("65,535 channels", "too slow", "too fast", "too long", "too short", "not a number", "infinite"),
    ],
)
def test_an_unusable_file_is_refused_with_its_fault_and_the_limit(
    refused: Callable[..., None], data: bytes, code: str, says: str
) -> None:
    refused(data, code, says)


@pytest.mark.parametrize("claimed", [2**32 - 1, 2**31, 2 * RATE * 3600])
def test_a_header_that_claims_hours_costs_nothing_and_the_present_samples_are_classified(
    classify: Classify, claimed: int
) -> None:
    samples = (32_768 * noise(1.0, 1)).astype("<i2").tobytes()
    answer, whole = classify(wav(samples, data_size=claimed))[1], classify(wav(samples))[1]
    is_truncated = claimed < 2**31 - 1  # greater sizes mark a stream of unknown length
    assert answer["truncated"] is is_truncated
    assert ("only 1 s of 3,600 s" in answer["note"]) is is_truncated
    assert {**answer, "truncated": False, "note": ""} == whole


def test_samples_beyond_the_length_in_the_header_are_ignored(classify: Classify) -> None:
    silence_then_noise = bytes(2 * RATE) + (32_768 * noise(1.0, 1)).astype("<i2").tobytes()
    assert classify(wav(silence_then_noise, data_size=2 * RATE))[1]["label"] == "quiet"


def test_a_body_that_is_text_or_missing_is_refused(platform: FakePlatform) -> None:
    for body in (None, "", "hello", "ümläut"):
        status, document, kind = request(platform, body, False)
        assert (status, kind) == (400, "application/problem+json")
        assert document["detail"].startswith("file: ")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_file_with_any_bytes_changed_is_classified_or_refused_and_never_fails_the_function(
    classify: Classify, data: st.DataObject
) -> None:
    whole = bytearray(WHOLE[data.draw(st.sampled_from(sorted(WHOLE)), label="file")])
    for _ in range(data.draw(st.integers(1, 4), label="changes")):
        whole[data.draw(st.integers(0, min(len(whole), 400) - 1))] = data.draw(st.integers(0, 255))
    status, document, _ = classify(bytes(whole))
    assert status in {200, 400, 413}
    assert ("label" in document) == (status == 200)


WHOLE = {kind: encoded(noise(0.5, 1), kind) for kind in ("WAV", "FLAC", "OGG", "AIFF", "CAF")}


def test_a_query_parameter_is_refused_by_name(platform: FakePlatform) -> None:
    status, document, _ = request(platform, base64.b64encode(encoded(noise(1.0, 1))).decode(), True, top="3")
    assert (status, document["detail"]) == (400, "top: unknown parameter; the endpoint has none")
