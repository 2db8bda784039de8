"""Rollouts over REST: create, list, follow, pause, resume, cancel, and who may."""

from collections.abc import Callable
from typing import Any

import pytest

from anc.rollout_records import Target
from anc.services.headsets import rollout_steps
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
PATH = "/api/rollouts"
FIRMWARE = {
    "version": "1.5.0",
    "url": "https://x.example/1.5.0.bin?signature=secret",
    "sha256": "ab" * 32,
    "size": 1024,
}
BODY = {"name": "hinge", "firmware": FIRMWARE}
HEADSETS = [f"left-{number}" for number in range(4)]


@pytest.fixture
def operate(call: Call) -> Callable[..., Any]:
    """Give `operate(method, path, body)`: call as an operator, and return the body of a success."""
    for thing in HEADSETS:
        headset = {"thing": thing, "model": "AX2", "secondary": [0.0, 0.5, 0.2]}
        assert call("POST", "/api/devices", headset)[0] == 201

    def request(method: str, path: str, body: Any = None, **query: str) -> Any:
        status, answer, _ = call(method, path, body, "olga", "operator", **query)
        assert status < 300, answer
        return answer

    return request


def test_a_rollout_says_what_to_whom_by_whom_and_how_far(
    operate: Any, platform: FakePlatform, call: Call
) -> None:
    user = {"username": "olga@x.example", "password": "correct horse battery staple", "role": "operator"}
    olga = call("POST", "/api/users", user, "root", "admin")[1]["user"]
    platform.clock.now += 1
    body = {**BODY, "query": {"model": "ax2"}, "canary_percent": 50}
    status, created, _ = call("POST", PATH, body, olga, "operator")
    rollout_steps.take(created["id"], platform.deps)
    found = operate("GET", f"{PATH}/{created['id']}")

    assert status == 201
    assert (created["state"], created["stage"], created["headsets"]) == ("active", "planning", 4)
    assert found["created_by"] == found["changed_by"] == "olga@x.example"
    assert (found["firmware"], found["config"]) == (FIRMWARE, None)
    assert (found["query"]["model"], found["stage"], found["canary"]) == ("ax2", "canary", 2)
    assert (found["counts"]["queued"], found["counts"]["waiting"], found["counts"]["failed"]) == (2, 2, 0)
    assert operate("GET", PATH) == {"rollouts": [found], "next": None}


def test_a_rollout_is_paused_resumed_and_cancelled_and_the_audit_log_says_by_whom(
    operate: Any, platform: FakePlatform
) -> None:
    id = operate("POST", PATH, BODY)["id"]
    states = []
    for action in ("pause", "pause", "resume", "cancel"):
        platform.clock.now += 1
        states.append(operate("PATCH", f"{PATH}/{id}", {"action": action})["state"])

    assert states == ["paused", "paused", "active", "cancelled"]
    log = [each for each in platform.deps.audit.list("audit") if each.action.startswith("rollout")][::-1]
    assert [each.action for each in log] == [
        "rollout.create",
        "rollout.pause",
        "rollout.resume",
        "rollout.cancel",
    ]
    assert {(each.user, each.subject) for each in log} == {("olga", id)}
    assert log[0].detail == {
        "name": "hinge",
        "headsets": "4",
        "version": "1.5.0",
        "sha256": "ab" * 32,
    }, "without the URL, which may contain a signature"


def test_a_cancelled_rollout_cannot_be_resumed(operate: Any, call: Call) -> None:
    id = operate("POST", PATH, BODY)["id"]
    operate("PATCH", f"{PATH}/{id}", {"action": "cancel"})
    status, problem, _ = call("PATCH", f"{PATH}/{id}", {"action": "resume"}, "olga", "operator")

    assert (status, problem["code"]) == (409, "ended")
    assert problem["detail"] == f"rollout: {id} cannot be changed any more (it is cancelled)"


def test_rollouts_are_listed_newest_first_page_by_page(operate: Any, platform: FakePlatform) -> None:
    ids = []
    for number in range(3):
        platform.clock.now += 1
        ids.append(operate("POST", PATH, {**BODY, "name": f"rollout {number}"})["id"])
    seen, after = [], ""
    while after is not None:
        page = operate("GET", PATH, limit="2", after=after)
        seen += [each["id"] for each in page["rollouts"]]
        after = page["next"]

    assert seen == ids[::-1]


def test_the_headsets_of_a_rollout_are_listed_with_their_status(operate: Any, platform: FakePlatform) -> None:
    id = operate("POST", PATH, {**BODY, "canary_percent": 25})["id"]
    rollout_steps.take(id, platform.deps)
    found, after = [], ""
    while after is not None:
        page = operate("GET", f"{PATH}/{id}/headsets", after=after)
        found += page["headsets"]
        after = page["next"]

    assert [each["status"] for each in found] == ["queued", "waiting", "waiting", "waiting"]
    assert sorted(each["thing"] for each in found) == HEADSETS
    assert found[0]["at"] == platform.clock.now
    assert found[1] == {"thing": found[1]["thing"], "status": "waiting", "at": None, "before_db": None}
    assert Target("x").at == 0.0


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"canary_percent": 0}, "canary_percent: must be at least 0.1 (got 0)"),
        ({"per_minute": 1001}, "per_minute: must be at most 1000 (got 1001)"),
        ({"per_minute": 9}, "per_minute: must be at least 10 (got 9)"),
        ({"max_drop_db": 0.1}, "max_drop_db: must be at least 0.5 (got 0.1)"),
        ({"soak_minutes": 10081}, "soak_minutes: must be at most 10080 (got 10081)"),
        ({"firmware": {**FIRMWARE, "version": "new"}}, "firmware.version: must be three numbers"),
        ({"query": {"modell": "AX2"}}, "query.modell: "),
        ({"query": {"prefix": "a b"}}, "query.prefix: must be empty, or 1 to 64 letters, digits, hyphens"),
        ({"query": {"tag": "Night"}}, "query.tag: must be empty, or a lowercase letter and up to 31"),
        ({"firmware": None}, "firmware: give either firmware or config"),
        ({"query": {"model": "none"}}, "query: no headset matches"),
        (
            {"firmware": None, "config": {"private": False}},
            "config.private: must not be false; only a headset's owner may turn it off",
        ),
    ],
)
def test_a_refusal_names_the_field_and_the_limit(
    operate: Any, call: Call, change: dict[str, Any], detail: str
) -> None:
    status, problem, _ = call("POST", PATH, {**BODY, **change}, "olga", "operator")

    assert (status, problem["code"]) == (400, "bad_field")
    assert detail in problem["detail"]
    assert operate("GET", PATH)["rollouts"] == []


def test_an_unknown_rollout_is_not_found(call: Call) -> None:
    for method, body in (("GET", None), ("PATCH", {"action": "pause"})):
        status, problem, _ = call(method, f"{PATH}/{'0' * 14}-{'0' * 8}", body, "olga", "operator")
        assert (status, problem["code"]) == (404, "unknown_rollout")


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", PATH), ("GET", f"{PATH}/x")])
def test_listeners_have_no_rollouts(call: Call, method: str, path: str) -> None:
    status, problem, _ = call(method, path, BODY if method == "POST" else None)

    assert (status, problem["code"]) == (403, "forbidden")
