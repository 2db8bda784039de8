"""The REST API: responses, and problem documents for refusals."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aws_lambda_powertools.event_handler.openapi import dependant
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.noise import ModelError
from functions.rest_api.handler import handler as rest_api
from functions.rest_api.handler import known_parameters
from functions.routes import REST, RestRoute
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
PROBLEM = "application/problem+json"
PAGES = {"/metrics", "/docs"}  # not JSON
HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2], "model": "Quiet One", "rate": 16_000, "taps": 256}


def assert_problem(answer: tuple[int, Any, str], status: int, code: str, says: str) -> None:
    """Assert that a response is a problem document of RFC 9457."""
    got, document, kind = answer
    assert (got, kind) == (status, PROBLEM)
    assert set(document) == {"type", "title", "status", "code", "detail"}
    assert (document["status"], document["code"]) == (status, code)
    assert says in document["detail"]


def test_the_health_check_reports_a_healthy_platform(call: Call) -> None:
    status, health, _ = call("GET", "/health")
    assert (status, health["live"], health["ready"], health["checks"]["tables"]) == (200, True, True, "ok")


def test_a_platform_without_its_tables_is_live_but_not_ready(
    call: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(key: str) -> None:
        raise TimeoutError("no answer from the table")

    monkeypatch.setattr(platform.deps.streams, "get", unreachable)
    status, health, _ = call("GET", "/health")
    assert (status, health["status"], health["live"], health["ready"]) == (503, "failing", True, False)
    assert health["checks"]["tables"] == "TimeoutError"


def test_a_platform_without_its_files_is_degraded_and_ready(
    call: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(key: str) -> None:
        raise ConnectionError("no answer from the bucket")

    monkeypatch.setattr(platform.deps.objects, "info", unreachable)
    status, health, _ = call("GET", "/health")
    assert (status, health["status"], health["ready"]) == (200, "degraded", True)
    assert health["checks"] == {
        "tables": "ok",
        "writes": "ok",
        "files": "ConnectionError",
        "classifier": "ok",
    }


def test_a_platform_without_detection_is_degraded_and_ready(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(settings: Any) -> None:
        raise ModelError("model.npz: damaged")

    monkeypatch.setattr("anc.services.sound.detection.load_classifier", failing)
    status, health, _ = call("GET", "/health")
    assert (status, health["status"], health["ready"]) == (200, "degraded", True)
    assert health["checks"]["classifier"] == "ModelError"


def test_a_session_from_opening_to_end_over_rest(call: Call) -> None:
    status, opened, _ = call(
        "POST", "/api/sessions", {"mode": "cancel", "rate": 16_000, "taps": 128, "mu": 0.2}
    )
    assert status == 201
    assert (opened["rate"], opened["taps"], opened["mu"], opened["next_seq"]) == (16_000, 128, 0.2, 0)
    path = f"/api/sessions/{opened['session']}"
    assert call("GET", path)[:2] == (200, opened)
    assert call("GET", "/api/sessions")[1] == {"sessions": [opened], "next": None}

    status, changed, _ = call("PATCH", path, {"enabled": False, "intensity": 0.25})
    assert (status, changed) == (200, {**opened, "enabled": False, "intensity": 0.25})
    assert call("PATCH", path, {})[1] == changed, "omitted fields stay"

    nothing_yet = {"blocks": 0, "seconds": 0.0, "gaps": 0, "attenuation_db": None, "filter_resets": 0}
    assert call("GET", f"{path}/stats")[1] == nothing_yet
    assert call("DELETE", path)[:2] == (200, nothing_yet)
    assert_problem(call("GET", path), 404, "unknown_session", "session: not found")
    assert call("GET", "/api/sessions")[1] == {"sessions": [], "next": None}


def test_a_session_summary_covers_all_sockets_and_an_unused_session_expires(
    call: Call, say: Callable[..., Any], platform: FakePlatform
) -> None:
    _, opened, _ = call("POST", "/api/sessions", {"rate": 16_000, "taps": 16})
    session, path = opened["session"], f"/api/sessions/{opened['session']}"
    x = (2_000 * np.random.default_rng(1).standard_normal(4_000)).astype("<i2")
    pcm = base64.b64encode(np.stack([x, x // 2], axis=1).tobytes()).decode()
    for seq, connection in enumerate(["first", "first", "second"]):
        platform.clock.now += 3_600
        block = {"action": "audio", "session": session, "seq": seq, "pcm": pcm}
        assert say(block, connection=connection)["type"] == "audio"
    summed = call("GET", f"{path}/stats")[1]
    assert (summed["blocks"], summed["seconds"], summed["gaps"]) == (3, 0.75, 0)
    assert summed["attenuation_db"] > 10
    now = call("GET", path)[1]
    assert now["next_seq"] == 3
    assert now["expires"] == opened["expires"] + 3 * 3_600, "the lifetime counts from the last block"

    platform.clock.now = now["expires"]
    for method, at in (("GET", path), ("PATCH", path), ("DELETE", path), ("GET", f"{path}/stats")):
        assert_problem(call(method, at, {}), 404, "unknown_session", "it may have expired")
    assert call("GET", "/api/sessions")[1] == {"sessions": [], "next": None}
    assert say({"action": "audio", "session": session, "seq": 3, "pcm": pcm})["code"] == "unknown_session"


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (None, "bad_field", "body: is required"),
        ("mode=cancel", "bad_json", "not a JSON document"),
        ("[]", "bad_field", "body: must be an object"),
        ({"rate": 7_999}, "bad_field", "rate: must be at least 8000 (got 7999)"),
        ({"taps": 4097}, "bad_field", "taps: must be at most 4096 (got 4097)"),
        ({"mode": "predict", "channels": 2}, "bad_field", "channels: `predict` needs 1 (got 2)"),
        ({"rate": "16000"}, "bad_field", "rate: must be an integer"),
        ({"volume": 11}, "bad_field", "volume: unknown field"),
        ({"action": "stop"}, "bad_field", "action: unknown field"),
    ],
    ids=str,
)
def test_an_invalid_session_is_refused_by_field_and_limit_and_changes_nothing(
    call: Call, platform: FakePlatform, stored: Any, body: Any, code: str, says: str
) -> None:
    before = stored()
    assert_problem(call("POST", "/api/sessions", body), 400, code, says)
    assert platform.counts[f"refused_{code}"] == 1
    assert stored() == before


@pytest.mark.parametrize(
    "body", [{"intensity": 1.5}, {"enabled": 1}, {"session": "other"}, {"mode": "bypass"}, "[]"]
)
def test_an_invalid_session_change_is_refused_and_changes_nothing(call: Call, body: Any) -> None:
    _, opened, _ = call("POST", "/api/sessions", {})
    path = f"/api/sessions/{opened['session']}"
    assert_problem(call("PATCH", path, body), 400, "bad_field", "")
    assert call("GET", path)[1] == opened


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/sessions/{}"),
        ("PATCH", "/api/sessions/{}"),
        ("DELETE", "/api/sessions/{}"),
        ("GET", "/api/sessions/{}/stats"),
    ],
)
def test_a_session_is_not_found_by_other_users(call: Call, method: str, path: str) -> None:
    _, opened, _ = call("POST", "/api/sessions", {})
    foreign = call(method, path.format(opened["session"]), {}, user="mallory")
    assert_problem(foreign, 404, "unknown_session", "not found")
    assert foreign == call(method, path.format("never-was"), {}, user="mallory")
    assert call("GET", "/api/sessions", user="mallory")[1] == {"sessions": [], "next": None}
    assert call("GET", f"/api/sessions/{opened['session']}")[1] == opened


def test_a_json_body_may_be_base64_encoded(call: Call) -> None:
    body = base64.b64encode(b'{"rate": 16000}').decode()
    assert call("POST", "/api/sessions", body, is_base64=True)[1]["rate"] == 16_000
    assert_problem(
        call("POST", "/api/sessions", "x", is_base64=True), 400, "bad_json", "body: not a JSON document"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "Application/JSON; charset=UTF-8"},
        {"Content-Type": ";charset=utf-8"},
        {"content-type": "", "CONTENT-TYPE": "application/Json"},
    ],
)
def test_the_type_of_a_json_body_is_read_in_any_spelling(
    platform: FakePlatform, headers: dict[str, str]
) -> None:
    who = {"principalId": "alice", "user": "alice", "role": "listener", "since": str(platform.clock.now)}
    path = "/api/sessions"
    event = rest_event("POST", path, path, {}, {}, headers, "{}", False, who, "127.0.0.1")
    assert rest_api(event, LocalContext("rest_api"), platform.deps)["statusCode"] == 201


def test_lists_are_paginated(call: Call) -> None:
    for _ in range(5):
        call("POST", "/api/sessions", {})
    every = [session["session"] for session in call("GET", "/api/sessions")[1]["sessions"]]
    assert len(every) == 5
    seen: list[str] = []
    after = ""
    while after is not None:
        page = call("GET", "/api/sessions", limit="2", after=after)[1]
        seen += [session["session"] for session in page["sessions"]]
        after = page["next"]
    assert seen == every


@pytest.mark.parametrize(
    "route",
    [route for route in REST if route.path.startswith("/api/") and route.function == "rest_api"],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_an_unknown_query_parameter_is_refused_by_name(call: Call, stored: Any, route: RestRoute) -> None:
    before = stored()
    answer = call(route.method, route.path.replace("{id}", "left"), {}, role="admin", tap="3")
    assert_problem(answer, 400, "bad_field", "tap: unknown parameter; ")
    assert stored() == before


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "many", "", "1e2", "9" * 5000])
def test_invalid_pagination_parameters_are_refused(call: Call, limit: str) -> None:
    assert_problem(call("GET", "/api/sessions", limit=limit), 400, "bad_field", "limit: ")


def test_a_registered_headset_gets_its_credentials_once(call: Call) -> None:
    status, registered, _ = call("POST", "/api/devices", HEADSET)
    assert status == 201
    credentials = registered.pop("credentials")
    named = {"certificate_id", "certificate", "private_key", "ca", "endpoint", "port", "environment"}
    assert set(credentials) == named
    assert (registered["thing"], registered["secondary_taps"], registered["taps"]) == ("left", 3, 256)
    now = {"online": None, "since": None, "refused": 0, "refusal": None, "claim_refusal": None}
    assert call("GET", "/api/devices/left")[:2] == (200, registered | now)
    assert call("GET", "/api/devices")[1] == {"devices": [registered], "next": None}


@pytest.mark.parametrize("who", ["alice", "mallory"])
def test_a_name_that_is_taken_is_a_conflict(call: Call, stored: Any, who: str) -> None:
    call("POST", "/api/devices", HEADSET)
    before = stored()
    assert_problem(
        call("POST", "/api/devices", HEADSET, user=who), 409, "exists", "left is already registered"
    )
    assert stored() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"thing": "a/b"}, "thing: must be 1 to 64 letters"),
        ({"thing": ""}, "thing: must be 1 to 64 letters"),
        ({"thing": "x" * 65}, "thing: must be 1 to 64 letters"),
        ({"thing": "#"}, "thing: must be 1 to 64 letters"),
        ({"secondary": []}, "secondary: must have at least 1 item"),
        ({"secondary": [0.1] * 1025}, "secondary: must have at most 1024 items"),
        ({"secondary": [0.0, 0.0]}, "secondary: must be finite and not all zero"),
        ({"secondary": ["loud"]}, "secondary.0: must be a number"),
        ({"rate": 96_001}, "rate: must be at most 96000 (got 96001)"),
        ({"taps": 15}, "taps: must be at least 16 (got 15)"),
        ({"model": ""}, "model: must have at least 1 character"),
        ({"model": "\x1b]0;owned\x07"}, "model: must be 1 to 64 characters on one line"),
        ({"model": "AX\u202e2"}, "model: must be 1 to 64 characters on one line"),
        ({"model": "AX2\n"}, "model: must be 1 to 64 characters on one line"),
        ({"owner": "bob"}, "owner: unknown field"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_headset_is_refused_by_field_and_limit_and_changes_nothing(
    call: Call, stored: Any, change: dict[str, Any], says: str
) -> None:
    before = stored()
    assert_problem(call("POST", "/api/devices", HEADSET | change), 400, "bad_field", says)
    assert stored() == before


def test_a_removed_headset_is_revoked_and_gone(call: Call, platform: FakePlatform) -> None:
    call("POST", "/api/devices", HEADSET)
    assert call("DELETE", "/api/devices/left")[0] == 204
    assert platform.things.revoked == ["cert-left-1"]
    assert_problem(call("GET", "/api/devices/left"), 404, "unknown_device", "left is not registered")
    assert_problem(call("DELETE", "/api/devices/left"), 404, "unknown_device", "left is not registered")


def test_an_operator_sees_all_headsets_and_a_listener_its_own(call: Call) -> None:
    call("POST", "/api/devices", HEADSET)
    for path in ("/api/devices/left", "/api/devices/left/shadow"):
        assert call("GET", path, user="olga", role="operator")[0] == 200
        foreign = call("GET", path, user="mallory")
        assert_problem(foreign, 404, "unknown_device", "left is not registered")
    assert_problem(call("DELETE", "/api/devices/left", user="mallory"), 404, "unknown_device", "")
    assert call("GET", "/api/devices/left")[0] == 200


def test_the_shadow_of_a_headset_contains_the_desired_state(call: Call, platform: FakePlatform) -> None:
    call("POST", "/api/devices", HEADSET)
    assert call("GET", "/api/devices/left/shadow")[1] == {"state": {}, "version": 0}
    platform.deps.shadows.update("left", {"mode": "bypass"})
    _, shadow, _ = call("GET", "/api/devices/left/shadow")
    assert (shadow["state"]["desired"], shadow["version"]) == ({"mode": "bypass"}, 1)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/api"), ("PUT", "/api/sessions"), ("GET", "/x\n")]
)
def test_an_unknown_path_gets_a_problem_document(call: Call, method: str, path: str) -> None:
    assert_problem(call(method, path), 404, "not_found", f"path: no endpoint at {path}")


def test_the_framework_does_not_search_an_unknown_path_for_parameters(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its expression takes quadratic time: over a second for a path of 36 kB."""
    searched: list[str] = []
    search = dependant.get_path_param_names

    def recorded(path: str) -> set[str]:
        searched.append(path)
        return search(path)

    monkeypatch.setattr(dependant, "get_path_param_names", recorded)
    path = "/api/devices/" + '"{' * 5000
    assert_problem(call("GET", path), 404, "not_found", f"path: no endpoint at {path[:150]}")
    assert searched == ["/"]


@settings(max_examples=100, deadline=None)
@given(
    route=st.sampled_from(
        [route for route in REST if route.function == "rest_api" and route.path not in PAGES]
    ),
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=30),
    body=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    after=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
def test_any_request_gets_json_with_a_suitable_status(
    call: Call, route: Any, name: str, body: str | None, after: str
) -> None:
    pages = "after" in known_parameters(route.method, route.path)
    query = {"after": after} if pages else {}
    status, document, kind = call(route.method, route.path.replace("{id}", name), body, **query)
    assert status in {200, 400, 401, 403, 404, 503}
    assert kind == (PROBLEM if status >= 400 else "application/json")
    assert json.dumps(document)
