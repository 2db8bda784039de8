"""WebSocket frames of a live session: responses and refusals."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.schemas.websocket import Audio, Set, Start, Watch
from tests.fakes import FakePlatform

Say = Callable[..., dict[str, Any]]
Stored = Callable[[], list[tuple[Any, ...]]]
BLOCK = 960
BLOCK_FRAME: dict[str, Any] = {"action": "audio", "session": "s", "seq": 0, "pcm": ""}
unharmed = settings(max_examples=150, deadline=None)


def pcm(samples: np.ndarray) -> str:
    return base64.b64encode(np.rint(samples).astype("<i2").tobytes()).decode()


def samples(answer: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(answer["pcm"]), "<i2").astype(float)


def two_microphones(n: int = BLOCK, seed: int = 0) -> np.ndarray:
    """Return (n, 2) noise: reference, and primary two samples later and weaker."""
    x = 3000 * np.random.default_rng(seed).standard_normal(n)
    return np.stack([x, 0.5 * np.concatenate([np.zeros(2), x[:-2]])], axis=1)


@pytest.fixture
def session(say: Say) -> str:
    return str(say({"action": "start", "rate": 48_000, "channels": 2, "taps": 64})["session"])


def test_a_session_from_start_to_stop(say: Say, platform: FakePlatform) -> None:
    begun = say({"action": "start", "mode": "cancel", "rate": 48_000, "channels": 2, "taps": 64, "mu": 0.5})
    assert (begun["type"], begun["next_seq"]) == ("started", 0)
    name = begun["session"]

    for seq in range(3):
        sent = two_microphones(seed=seq)
        answer = say({"action": "audio", "session": name, "seq": seq, "pcm": pcm(sent)})
        assert (answer["type"], answer["seq"]) == ("audio", seq)
        assert samples(answer).size == BLOCK
        assert not {"gap", "lag_s"} & answer.keys()
    assert answer["attenuation_db"] > 10
    assert answer["level_dbfs"] == pytest.approx(20 * np.log10(1500 / 32768), abs=0.5)
    assert answer["server_ms"] > 0

    changed = say({"action": "set", "session": name, "enabled": False, "intensity": 0.8})
    assert changed == {"type": "set", "session": name, "enabled": False, "intensity": 0.8}

    ended = say({"action": "stop", "session": name})
    assert ended["type"] == "stopped"
    assert (ended["summary"]["blocks"], ended["summary"]["gaps"]) == (3, 0)
    assert ended["summary"]["seconds"] == pytest.approx(3 * BLOCK / 48_000)
    assert say({"action": "stop", "session": name})["code"] == "unknown_session"
    assert platform.deps.streams.list("alice") == []


def test_a_ping_is_answered(say: Say) -> None:
    assert say({"action": "ping"}) == {"type": "pong"}


def test_omitted_fields_take_the_defaults_of_the_settings(say: Say, platform: FakePlatform) -> None:
    say({"action": "start"})
    (stream,) = platform.deps.streams.list("alice")
    assert (stream.mode, stream.algorithm, stream.channels) == ("cancel", "nlms", 2)
    assert (stream.taps, stream.rate, stream.mu) == (512, 48_000, 0.5)


@pytest.mark.parametrize(
    ("frame", "code", "says"),
    [
        (None, "bad_json", "not a JSON document"),
        ("", "bad_json", "not a JSON document"),
        ("hello", "bad_json", "not a JSON document"),
        ('{"action":"ping"', "bad_json", "not a JSON document"),
        ('{"action":"start","mu":NaN}', "bad_json", "not a JSON document"),
        ('{"action":"stop","session":"\\ud800"}', "bad_json", "not a JSON document"),
        ("[1, 2]", "bad_field", "must be an object (got an array)"),
        ("{}", "bad_field", "action"),
        (
            {"action": "dance"},
            "bad_field",
            "action: must be one of start, audio, set",
        ),
        ({"action": 7}, "bad_field", "action: must be a string"),
        ({"action": "ping", "loud": True}, "bad_field", "loud: unknown field"),
        ({"action": "start", "rate": 7_999}, "bad_field", "rate: must be at least 8000 (got 7999)"),
        ({"action": "start", "rate": 192_001}, "bad_field", "rate: must be at most 192000 (got 192001)"),
        ({"action": "start", "taps": 0}, "bad_field", "taps: must be at least 1 (got 0)"),
        ({"action": "start", "taps": 4097}, "bad_field", "taps: must be at most 4096 (got 4097)"),
        ({"action": "start", "mu": 2}, "bad_field", "mu: must be less than 2 (got 2)"),
        ({"action": "start", "mu": 0}, "bad_field", "mu: must be greater than 0 (got 0)"),
        ({"action": "start", "channels": 3}, "bad_field", "channels: must be at most 2 (got 3)"),
        ({"action": "start", "channels": 1}, "bad_field", "channels: `cancel` needs 2"),
        (
            {"action": "start", "mode": "predict", "channels": 2},
            "bad_field",
            "channels: `predict` needs 1 (got 2)",
        ),
        (
            {"action": "start", "mode": "louder"},
            "bad_field",
            "mode: must be one of bypass, cancel",
        ),
        (
            {"action": "start", "algorithm": "rls"},
            "bad_field",
            "algorithm: must be one of fdaf, nlms",
        ),
        ({"action": "audio", "seq": 0, "pcm": ""}, "bad_field", "session: is required"),
        ({**BLOCK_FRAME, "seq": -1}, "bad_field", "seq: must be at least 0 (got -1)"),
        ({**BLOCK_FRAME, "seq": 2**53}, "bad_field", "seq: must be at most 9007199254740991"),
        ({**BLOCK_FRAME, "seq": 0.5}, "bad_field", "seq: must be an integer"),
        (
            {**BLOCK_FRAME, "session": "s" * 65},
            "bad_field",
            "session: must have at most 64 characters",
        ),
        ({**BLOCK_FRAME, "session": ""}, "bad_field", "session: must have at least 1 character"),
        (
            {**BLOCK_FRAME, "session": "none"},
            "unknown_session",
            "session: not found",
        ),
        (
            {"action": "set", "session": "s", "intensity": 1.1},
            "bad_field",
            "intensity: must be at most 1 (got 1.1)",
        ),
        ({"action": "set", "session": "s", "enabled": "yes"}, "bad_field", "enabled: must be true or false"),
        ({"action": "set", "session": "none"}, "unknown_session", "session: not found"),
        ({"action": "stop", "session": "none"}, "unknown_session", "session: not found"),
        (
            {"action": "watch", "device": "../other"},
            "bad_field",
            "device: must be 1 to 64 letters",
        ),
        ({"action": "watch", "device": "none"}, "unknown_device", "device: none is not registered"),
        ({"action": "ping", "room": "x" * 33_000}, "too_large", "at most 32,768"),
        ('{"a":' + "[" * 20_000, "bad_json", "not a JSON document"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_refusal_names_the_field_and_the_limit_is_counted_and_changes_nothing(
    say: Say, platform: FakePlatform, session: str, stored: Stored, frame: Any, code: str, says: str
) -> None:
    before = stored()
    answer = say(frame)
    assert (answer["type"], answer["code"]) == ("error", code)
    assert says in answer["message"]
    assert platform.counts[f"refused_{code}"] == 1
    assert stored() == before


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "bad_field", "pcm: 0 bytes, must be a multiple of 4"),
        ("AAAA", "bad_field", "pcm: 3 bytes, must be a multiple of 4"),
        ("no base64", "bad_field", "pcm: not base64"),
        (base64.b64encode(bytes(24_004)).decode(), "too_large", "pcm: 24,004 bytes, at most 24,000"),
    ],
    ids=["nothing", "half a sample", "no base64", "too long"],
)
def test_after_an_invalid_block_the_correct_one_is_still_accepted(
    say: Say, session: str, stored: Stored, text: str, code: str, says: str
) -> None:
    before = stored()
    answer = say({"action": "audio", "session": session, "seq": 0, "pcm": text})
    assert (answer["type"], answer["code"], answer["seq"]) == ("error", code, 0)
    assert says in answer["message"]
    assert stored() == before
    assert say({"action": "audio", "session": session, "seq": 0, "pcm": pcm(two_microphones())})["seq"] == 0


def test_a_stale_block_is_refused_with_its_sequence_number(say: Say, session: str) -> None:
    for seq in range(3):
        say({"action": "audio", "session": session, "seq": seq, "pcm": pcm(two_microphones())})
    answer = say({"action": "audio", "session": session, "seq": 1, "pcm": pcm(two_microphones())})
    assert (answer["type"], answer["code"], answer["seq"]) == ("error", "stale_seq", 1)
    assert "must be greater than 2" in answer["message"]


def test_a_repeated_block_gets_the_stored_answer_unchanged(say: Say, session: str) -> None:
    first = say({"action": "audio", "session": session, "seq": 0, "pcm": pcm(two_microphones(seed=1))})
    again = say({"action": "audio", "session": session, "seq": 0, "pcm": pcm(two_microphones(seed=2))})
    assert again == first


def test_a_session_of_another_user_is_unknown(say: Say, session: str) -> None:
    frames: list[dict[str, Any]] = [
        {"action": "audio", "session": session, "seq": 0, "pcm": pcm(two_microphones())},
        {"action": "set", "session": session, "enabled": False},
        {"action": "stop", "session": session},
    ]
    for frame in frames:
        assert say(frame, user="mallory") == say({**frame, "session": "never-was"}, user="mallory")
    assert say({"action": "set", "session": session})["enabled"] is True


def test_an_api_key_sends_only_requests_within_its_scopes(say: Say, session: str) -> None:
    frames = [
        {"action": "start"},
        {"action": "audio", "session": session, "seq": 0, "pcm": ""},
        {"action": "set", "session": session, "enabled": False},
        {"action": "watch", "device": "none"},
        {"action": "stop", "session": session},
    ]
    for scopes, allowed in (("audio", 0), ("devices:read sessions:read", 1), ("sessions", 4)):
        answers = [say(frame, scopes=scopes) for frame in frames]
        refused = [answer for answer in answers if answer.get("code") == "forbidden"]
        assert len(refused) == len(frames) - allowed
        assert all(scopes.replace(" ", ", ") in answer["message"] for answer in refused)
    assert say({"action": "ping"}, scopes="audio")["type"] == "pong"


def test_the_number_of_sessions_per_user_is_limited(say: Say, platform: FakePlatform) -> None:
    for _ in range(platform.deps.settings.quota_sessions):
        last = say({"action": "start"})
    assert say({"action": "start"})["code"] == "too_many"
    assert say({"action": "start"}, user="bob")["type"] == "started"
    say({"action": "stop", "session": last["session"]})
    assert say({"action": "start"})["type"] == "started"


@pytest.mark.parametrize("algorithm", ["nlms", "fdaf"])
@pytest.mark.parametrize("horizon", [1, 64, 1500])
def test_white_noise_cannot_be_predicted_over_any_horizon(say: Say, algorithm: str, horizon: int) -> None:
    begun = say(
        {"action": "start", "mode": "predict", "algorithm": algorithm, "horizon": horizon, "taps": 128}
    )
    noise = 3000 * np.random.default_rng(7).standard_normal((12, 1024))
    for seq, block in enumerate(noise):
        answer = say({"action": "audio", "session": begun["session"], "seq": seq, "pcm": pcm(block)})
        assert answer["attenuation_db"] < 0.3


@pytest.mark.parametrize("horizon", [1, 64, 1500])
def test_a_tone_is_predicted_over_any_horizon(say: Say, horizon: int) -> None:
    begun = say({"action": "start", "mode": "predict", "horizon": horizon, "taps": 128})
    tone = 8000 * np.sin(2 * np.pi * 0.013 * np.arange(12 * 1024)).reshape(12, 1024)
    for seq, block in enumerate(tone):
        answer = say({"action": "audio", "session": begun["session"], "seq": seq, "pcm": pcm(block)})
    assert answer["attenuation_db"] > 30


def test_a_prediction_does_not_depend_on_block_boundaries(say: Say) -> None:
    hum = 5000 * np.sin(0.05 * np.arange(6000)) + 100 * np.random.default_rng(1).standard_normal(6000)

    def predicted(cuts: list[int]) -> np.ndarray:
        begun = say({"action": "start", "mode": "predict", "horizon": 700, "taps": 64})
        frame = {"action": "audio", "session": begun["session"]}
        parts = np.split(hum, cuts)
        return np.concatenate(
            [samples(say({**frame, "seq": n, "pcm": pcm(part)})) for n, part in enumerate(parts)]
        )

    difference = predicted([3000]) - predicted([1, 500, 1400, 1401, 4000])
    assert np.abs(difference).max() <= 1


def test_after_a_gap_prediction_starts_without_history(say: Say) -> None:
    name = say({"action": "start", "mode": "predict", "horizon": 500, "taps": 64})["session"]
    loud = pcm(10_000 * np.sin(0.1 * np.arange(4000)))
    for seq in range(3):
        say({"action": "audio", "session": name, "seq": seq, "pcm": loud})
    quiet = np.random.default_rng(2).integers(-50, 50, 500)
    answer = say({"action": "audio", "session": name, "seq": 5, "pcm": pcm(quiet)})
    assert answer["gap"] == 2
    assert np.array_equal(samples(answer), quiet), "no history within one horizon"


@unharmed
@given(frame=st.text(max_size=200))
def test_any_text_that_is_no_request_is_refused(say: Say, frame: str) -> None:
    assert say(frame)["type"] == "error"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from([name for kind in (Start, Audio, Set, Watch) for name in kind.__struct_fields__])
actions = st.sampled_from(["start", "audio", "set", "stop", "watch", "ping", "Start", ""])


@unharmed
@given(action=actions | json_values, rest=st.dictionaries(fields, json_values, max_size=5))
def test_any_frame_with_known_fields_is_answered_and_never_fails_the_function(
    say: Say, session: str, action: Any, rest: dict[str, Any]
) -> None:
    answer = say(json.dumps({**rest, "action": action}))
    assert answer["type"] in {"started", "pong", "error"}
    if answer["type"] == "started":
        say({"action": "stop", "session": answer["session"]})


@unharmed
@given(data=st.binary(max_size=400))
def test_any_bytes_as_a_block_are_filtered_or_refused(say: Say, data: bytes) -> None:
    name = say({"action": "start", "taps": 16})["session"]
    answer = say({"action": "audio", "session": name, "seq": 0, "pcm": base64.b64encode(data).decode()})
    if data and len(data) % 4 == 0:
        assert samples(answer).size == len(data) // 4
    else:
        assert answer["code"] == "bad_field"
    assert say({"action": "stop", "session": name})["summary"]["blocks"] == (answer["type"] == "audio")
