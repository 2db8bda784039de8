"""The REST API: what it answers, and problem documents for everything that it refuses."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.rest_api.handler import STATUS, handler
from functions.routes import REST
from local.context import LocalContext
from local.events import rest_event
from tests.worlds import TestWorld

Call = Callable[..., tuple[int, Any, str]]
PROBLEM = "application/problem+json"
HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2], "model": "Quiet One", "rate": 16_000, "taps": 256}


def assert_problem(answer: tuple[int, Any, str], status: int, code: str, says: str) -> None:
    """Hold an answer to RFC 9457."""
    got, document, kind = answer
    assert (got, kind) == (status, PROBLEM)
    assert set(document) == {"type", "title", "status", "code", "detail"}
    assert (document["status"], document["code"]) == (status, code)
    assert says in document["detail"]


def test_the_health_check_tells_that_the_platform_answers(call: Call) -> None:
    assert call("GET", "/health") == (200, {"status": "ok"}, "application/json")


def test_a_platform_that_cannot_reach_its_tables_is_not_healthy(
    platform: TestWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(key: str) -> None:
        raise TimeoutError("no answer from the table")

    monkeypatch.setattr(platform.world.streams, "get", unreachable)
    event = rest_event("GET", "/health", "/health", {}, {}, {}, None, False, {}, "127.0.0.1")
    with pytest.raises(TimeoutError):  # from which API Gateway makes a 502
        handler(event, LocalContext("rest_api"), platform.world)


def test_a_session_over_its_whole_life(call: Call) -> None:
    status, opened, _ = call(
        "POST", "/api/sessions", {"mode": "cancel", "rate": 16_000, "taps": 128, "mu": 0.2}
    )
    assert status == 201
    assert (opened["rate"], opened["taps"], opened["mu"], opened["next_seq"]) == (16_000, 128, 0.2, 0)
    path = f"/api/sessions/{opened['session']}"
    assert call("GET", path)[:2] == (200, opened)
    assert call("GET", "/api/sessions")[1] == {"sessions": [opened]}

    status, changed, _ = call("PATCH", path, {"enabled": False, "intensity": 0.25})
    assert (status, changed) == (200, {**opened, "enabled": False, "intensity": 0.25})
    assert call("PATCH", path, {})[1] == changed, "what is not named stays"

    nothing_yet = {"blocks": 0, "seconds": 0.0, "gaps": 0, "attenuation_db": None}
    assert call("GET", f"{path}/stats")[1] == nothing_yet
    assert call("DELETE", path)[:2] == (200, nothing_yet)
    assert_problem(call("GET", path), 404, "unknown_session", "session: there is none of this name")
    assert call("GET", "/api/sessions")[1] == {"sessions": []}


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (None, "bad_json", "not a JSON document"),
        ("mode=cancel", "bad_json", "not a JSON document"),
        ("[]", "bad_field", "expected `object`, got `array`"),
        ({"rate": 7_999}, "bad_field", "rate: expected `int` >= 8000"),
        ({"taps": 4097}, "bad_field", "taps: expected `int` <= 4096"),
        ({"mode": "predict", "channels": 2}, "bad_field", "channels: 2, `predict` works on 1"),
        ({"volume": 11}, "bad_field", "unknown field `volume`"),
        ({"action": "stop"}, "bad_field", "action: invalid value 'stop'"),
    ],
    ids=str,
)
def test_a_session_that_cannot_be_is_refused_by_field_and_limit_counted_and_changes_nothing(
    call: Call, platform: TestWorld, stored: Any, body: Any, code: str, says: str
) -> None:
    before = stored()
    assert_problem(call("POST", "/api/sessions", body), 400, code, says)
    assert platform.counts[f"refused_{code}"] == 1
    assert stored() == before


@pytest.mark.parametrize(
    "body", [{"intensity": 1.5}, {"enabled": 1}, {"session": "other"}, {"mode": "bypass"}, "[]"]
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(call: Call, body: Any) -> None:
    _, opened, _ = call("POST", "/api/sessions", {})
    path = f"/api/sessions/{opened['session']}"
    answer = call("PATCH", path, body)
    if body == {"session": "other"}:
        assert answer[0] == 200, "the path decides which session it is"
    else:
        assert_problem(answer, 400, "bad_field", "")
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
def test_to_others_a_session_does_not_exist(call: Call, method: str, path: str) -> None:
    _, opened, _ = call("POST", "/api/sessions", {})
    foreign = call(method, path.format(opened["session"]), {}, user="mallory")
    assert_problem(foreign, 404, "unknown_session", "there is none of this name")
    assert foreign == call(method, path.format("never-was"), {}, user="mallory")
    assert call("GET", "/api/sessions", user="mallory")[1] == {"sessions": []}
    assert call("GET", f"/api/sessions/{opened['session']}")[1] == opened


def test_a_body_may_come_as_base64_as_binary_media_types_do(call: Call) -> None:
    body = base64.b64encode(b'{"rate": 16000}').decode()
    assert call("POST", "/api/sessions", body, is_base64=True)[1]["rate"] == 16_000
    assert_problem(call("POST", "/api/sessions", "x", is_base64=True), 400, "bad_json", "body: not base64")


def test_lists_come_page_by_page(call: Call) -> None:
    for _ in range(5):
        call("POST", "/api/sessions", {})
    every = [session["session"] for session in call("GET", "/api/sessions")[1]["sessions"]]
    assert len(every) == 5
    seen: list[str] = []
    while page := call("GET", "/api/sessions", limit="2", after=seen[-1] if seen else "")[1]["sessions"]:
        seen += [session["session"] for session in page]
    assert seen == every


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "many", "", " 5", "1e2", "9" * 5000])
def test_a_page_that_cannot_be_is_refused(call: Call, limit: str) -> None:
    assert_problem(call("GET", "/api/sessions", limit=limit), 400, "bad_field", "allowed are 1 to 100")


def test_a_registered_headset_gets_its_credentials_once(call: Call) -> None:
    status, registered, _ = call("POST", "/api/devices", HEADSET)
    assert status == 201
    credentials = registered.pop("credentials")
    assert set(credentials) == {"certificate_id", "certificate", "private_key", "ca", "endpoint", "port"}
    assert (registered["thing"], registered["secondary_taps"], registered["taps"]) == ("left", 3, 256)
    assert call("GET", "/api/devices/left")[:2] == (200, registered)
    assert call("GET", "/api/devices")[1] == {"devices": [registered]}


@pytest.mark.parametrize("who", ["alice", "mallory"])
def test_a_name_that_is_taken_is_a_conflict(call: Call, stored: Any, who: str) -> None:
    call("POST", "/api/devices", HEADSET)
    before = stored()
    assert_problem(
        call("POST", "/api/devices", HEADSET, user=who), 409, "exists", "left is registered already"
    )
    assert stored() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"thing": "a/b"}, "thing: expected `str` matching"),
        ({"thing": ""}, "thing: expected `str` matching"),
        ({"thing": "x" * 65}, "thing: expected `str` matching"),
        ({"thing": "#"}, "thing: expected `str` matching"),
        ({"secondary": []}, "secondary: expected `array` of length >= 1"),
        ({"secondary": [0.1] * 1025}, "secondary: expected `array` of length <= 1024"),
        ({"secondary": [0.0, 0.0]}, "secondary: must be finite and not all zero"),
        ({"secondary": ["loud"]}, "secondary[0]: expected `float`"),
        ({"rate": 96_001}, "rate: expected `int` <= 96000"),
        ({"taps": 15}, "taps: expected `int` >= 16"),
        ({"model": ""}, "model: expected `str` of length >= 1"),
        ({"owner": "bob"}, "unknown field `owner`"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_headset_that_cannot_be_is_refused_by_field_and_limit_and_changes_nothing(
    call: Call, stored: Any, change: dict[str, Any], says: str
) -> None:
    before = stored()
    assert_problem(call("POST", "/api/devices", HEADSET | change), 400, "bad_field", says)
    assert stored() == before


def test_a_removed_headset_is_revoked_and_gone(call: Call, platform: TestWorld) -> None:
    call("POST", "/api/devices", HEADSET)
    assert call("DELETE", "/api/devices/left")[0] == 204
    assert platform.things.revoked == ["cert-left"]
    assert_problem(call("GET", "/api/devices/left"), 404, "unknown_device", "left is not registered")
    assert_problem(call("DELETE", "/api/devices/left"), 404, "unknown_device", "left is not registered")


def test_an_operator_sees_every_headset_and_a_listener_only_his_own(call: Call) -> None:
    call("POST", "/api/devices", HEADSET)
    for path in ("/api/devices/left", "/api/devices/left/shadow"):
        assert call("GET", path, user="olga", role="operator")[0] == 200
        foreign = call("GET", path, user="mallory")
        assert_problem(foreign, 404, "unknown_device", "left is not registered")
    assert_problem(call("DELETE", "/api/devices/left", user="mallory"), 404, "unknown_device", "")
    assert call("GET", "/api/devices/left")[0] == 200


def test_the_shadow_of_a_headset_is_what_the_cloud_wants_of_it(call: Call, platform: TestWorld) -> None:
    call("POST", "/api/devices", HEADSET)
    assert call("GET", "/api/devices/left/shadow")[1] == {"state": {}, "version": 0}
    platform.world.shadows.update("left", {"mode": "bypass"})
    _, shadow, _ = call("GET", "/api/devices/left/shadow")
    assert (shadow["state"]["desired"], shadow["version"]) == ({"mode": "bypass"}, 1)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/api"), ("PUT", "/api/sessions"), ("GET", "/x\n")]
)
def test_where_there_is_nothing_a_problem_document_says_so(call: Call, method: str, path: str) -> None:
    assert_problem(call(method, path), 404, "not_found", f"path: there is nothing at {path}")


def test_every_refusal_has_its_status() -> None:
    assert {code: status.value for code, status in STATUS.items()} == {
        "unauthorized": 401,
        "unknown_session": 404,
        "unknown_device": 404,
        "not_found": 404,
        "exists": 409,
        "in_flight": 409,
        "too_large": 413,
        "too_many": 429,
    }


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    route=st.sampled_from([route for route in REST if route.function == "rest_api"]),
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=30),
    body=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    after=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
def test_whatever_a_request_holds_the_answer_is_json_of_a_status_that_fits(
    call: Call, route: Any, name: str, body: str | None, after: str
) -> None:
    status, document, kind = call(route.method, route.path.replace("{id}", name), body, after=after)
    assert status in {200, 400, 404}
    assert kind == (PROBLEM if status >= 400 else "application/json")
    assert json.dumps(document)
