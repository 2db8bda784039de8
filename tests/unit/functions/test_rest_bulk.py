"""Actions on many headsets in one request: tags, removal, and a rollout to chosen headsets."""

from collections.abc import Callable
from typing import Any

import pytest

from anc.fleet_records import FleetQuery
from anc.rollout_records import Target
from anc.services.headsets import bulk, registrations, rollout_steps
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
HEADSET = {"model": "AX2", "secondary": [0.0, 0.5, 0.2]}
OPERATOR = {"user": "olga", "role": "operator"}
TAGS_PATH, REMOVALS = "/api/device-tags", "/api/device-removals"


@pytest.fixture
def things(call: Call) -> list[str]:
    """Register two headsets of Alice and one of Bob."""
    for thing, owner in (("left", "alice"), ("right", "alice"), ("bobs", "bob")):
        assert call("POST", "/api/devices", {**HEADSET, "thing": thing}, user=owner)[0] == 201
    return ["left", "right", "bobs"]


@pytest.fixture
def tag(call: Call) -> Callable[..., Any]:
    """Give `tag(things, add, remove)`: change tags as an operator, and return the outcomes."""

    def change(things: list[str], add: list[str] = [], remove: list[str] = []) -> Any:  # noqa: B006
        status, answer, _ = call(
            "POST", TAGS_PATH, {"things": things, "add": add, "remove": remove}, **OPERATOR
        )
        assert status == 200, answer
        return answer["outcomes"]

    return change


def tagged(call: Call, name: str) -> list[str]:
    return [each["thing"] for each in call("GET", "/api/fleet", tag=name, **OPERATOR)[1]["headsets"]]


def actions(platform: FakePlatform) -> list[tuple[str, str, dict[str, str]]]:
    entries = platform.deps.audit.list("audit")
    return [(each.action, each.subject, each.detail) for each in entries if each.user == "olga"]


def test_tags_are_in_the_list_the_export_and_the_headset_and_can_be_searched(
    call: Call, things: list[str], tag: Any
) -> None:
    tag(things, add=["night", "hall-3"])
    outcomes = tag(["left"], remove=["night"])

    assert outcomes == [{"thing": "left", "changed": True, "tags": ["hall-3"], "problem": None}]
    assert tagged(call, "hall-3") == ["bobs", "left", "right"]
    assert tagged(call, "night") == ["bobs", "right"]
    assert tagged(call, "hall") == []
    assert call("GET", "/api/devices/right")[1]["tags"] == ["hall-3", "night"]
    assert call("GET", "/api/fleet/overview", tag="night", **OPERATOR)[1]["headsets"] == 2


def test_repeating_a_change_of_tags_changes_nothing(
    things: list[str], tag: Any, platform: FakePlatform
) -> None:
    tag(things, add=["night"])
    before = actions(platform)
    again = tag(things, add=["night"])

    assert [each["changed"] for each in again] == [False] * 3
    assert [each["tags"] for each in again] == [["night"]] * 3
    assert actions(platform) == before
    assert sorted(before) == [
        ("device.tags", thing, {"owner": owner, "add": "night", "remove": ""})
        for thing, owner in (("bobs", "bob"), ("left", "alice"), ("right", "alice"))
    ]


def test_a_headset_that_cannot_be_changed_does_not_hold_up_the_others(
    things: list[str], tag: Any, call: Call
) -> None:
    tag(["left"], add=[f"t{n}" for n in range(10)])
    left, absent, right = tag(["left", "absent", "right"], add=["more"])

    assert left["problem"] == {
        "code": "too_large",
        "detail": "tags: a headset has at most 10 (left would have 11); remove one",
    }
    assert absent["problem"]["code"] == "unknown_device"
    assert (right["changed"], right["tags"], right["problem"]) == (True, ["more"], None)
    assert tagged(call, "more") == ["right"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"things": ["left"]}, "add: give at least one tag"),
        ({"things": ["left"], "add": ["a", "b"], "remove": ["b"]}, "remove: b is also in add"),
        ({"things": ["left"], "add": ["Night"]}, "add.0: must be a lowercase letter and up to 31"),
        ({"things": ["left"], "add": ["n" * 33]}, "add.0: must be a lowercase letter and up to 31"),
        ({"things": ["left"], "add": ["t"] * 11}, "add: must have at most 10 items"),
        ({"things": ["left"] * 101, "add": ["t"]}, "things: must have at most 100 items"),
        ({"things": [], "add": ["t"]}, "things: must have at least 1 item"),
    ],
)
def test_a_refused_change_of_tags_names_field_and_limit(call: Call, change: Any, message: str) -> None:
    status, answer, _ = call("POST", TAGS_PATH, change, **OPERATOR)

    assert status == 400
    assert message in answer["detail"]


def test_tags_stay_with_new_credentials_and_names_and_end_with_the_registration(
    call: Call, things: list[str], tag: Any
) -> None:
    tag(["left"], add=["night"])
    call("POST", "/api/devices/left/credentials")
    call("PATCH", "/api/devices/left", {"name": "Ada"})
    assert call("GET", "/api/devices/left")[1]["tags"] == ["night"]
    assert tagged(call, "night") == ["left"]

    call("DELETE", "/api/devices/left")
    call("POST", "/api/devices", {**HEADSET, "thing": "left"})
    assert call("GET", "/api/devices/left")[1]["tags"] == []
    assert tagged(call, "night") == []


def test_a_preregistered_headset_is_found_by_its_tag_from_its_claim_on(
    call: Call, tag: Any, platform: FakePlatform
) -> None:
    call("PUT", "/api/device-models/AX2", {"secondary": [0.0, 0.5]}, **OPERATOR)
    call("POST", "/api/device-models/AX2/serials", {"serials": ["AX2-1"]}, **OPERATOR)
    tag(["AX2-1"], add=["night"])
    assert tagged(call, "night") == []

    device = platform.deps.devices.get("AX2-1")
    assert device
    registrations.issue(device, "certificate", platform.deps, claimed_by="ff")
    assert tagged(call, "night") == ["AX2-1"]


def test_repeating_a_change_repairs_an_update_of_the_index_that_failed(
    call: Call, things: list[str], tag: Any, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("throttled")

    with monkeypatch.context() as broken:
        broken.setattr(platform.deps.fleet_index, "update", fail)
        (failed,) = tag(["left"], add=["night"])
    assert failed["problem"]["code"] == "failed"
    assert tagged(call, "night") == []

    (repaired,) = tag(["left"], add=["night"])
    assert repaired["problem"] is None
    assert tagged(call, "night") == ["left"]


@pytest.mark.parametrize("first", ["add", "remove"])
def test_of_two_changes_of_tags_at_once_the_index_has_the_result_of_both(
    call: Call,
    things: list[str],
    tag: Any,
    platform: FakePlatform,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
) -> None:
    """The update of the first change comes after that of the second."""
    tag(["left"], add=["old"])
    index = platform.deps.fleet_index
    update, others = index.update, iter([lambda: tag(["left"], add=["night"])])

    def late(*arguments: Any) -> None:
        for other in others:
            other()
        update(*arguments)

    monkeypatch.setattr(index, "update", late)
    tag(["left"], **{first: ["hall-3" if first == "add" else "old"]})

    stored = platform.deps.devices.get("left")
    assert stored is not None
    assert stored.tags == (("hall-3", "night", "old") if first == "add" else ("night",))
    (indexed,) = index.search(FleetQuery(prefix="left")).headsets
    assert indexed.tags == stored.tags


def test_a_new_name_does_not_bring_back_tags_of_before(
    call: Call, things: list[str], tag: Any, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag(["left"], add=["old"])
    index = platform.deps.fleet_index
    update, others = index.update, iter([lambda: tag(["left"], add=["night"], remove=["old"])])

    def late(*arguments: Any) -> None:
        for other in others:
            other()
        update(*arguments)

    monkeypatch.setattr(index, "update", late)
    call("PATCH", "/api/devices/left", {"name": "Ada"})

    (indexed,) = index.search(FleetQuery(prefix="left")).headsets
    assert (indexed.name, indexed.tags) == ("Ada", ("night",))


def test_a_headset_that_is_removed_while_its_tags_change_is_in_no_list(
    call: Call, things: list[str], tag: Any, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = platform.deps.fleet_index
    update, others = index.update, iter([lambda: call("DELETE", "/api/devices/left")])

    def late(*arguments: Any) -> None:
        for other in others:
            other()
        update(*arguments)

    monkeypatch.setattr(index, "update", late)
    tag(["left"], add=["night"])

    assert tagged(call, "night") == []
    assert index.count(FleetQuery(prefix="left")) == 0


def test_removal_of_many_follows_the_access_rules_of_each_headset(
    call: Call, things: list[str], platform: FakePlatform
) -> None:
    _, answer, _ = call("POST", REMOVALS, {"things": [*things, "left"]})
    assert [(each["thing"], each["changed"]) for each in answer["outcomes"]] == [
        ("left", True),
        ("right", True),
        ("bobs", False),
    ]
    assert answer["outcomes"][2]["problem"]["code"] == "unknown_device"

    _, answer, _ = call("POST", REMOVALS, {"things": things}, **OPERATOR)
    assert [each["changed"] for each in answer["outcomes"]] == [False, False, True]
    assert actions(platform) == [("device.remove", "bobs", {"owner": "bob"})]
    assert call("GET", "/api/fleet", **OPERATOR)[1]["headsets"] == []


def test_what_does_not_fit_into_the_time_of_a_request_is_done_by_its_repetition(
    call: Call, things: list[str], platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = bulk.devices.remove

    def slow(*arguments: Any) -> None:
        known(*arguments)
        platform.clock.now += bulk.BUDGET_S

    monkeypatch.setattr(bulk.devices, "remove", slow)
    outcomes = call("POST", REMOVALS, {"things": things}, **OPERATOR)[1]["outcomes"]
    assert [(each["problem"] or {}).get("code") for each in outcomes] == [None, "unavailable", "unavailable"]
    assert "right was not attempted" in outcomes[1]["problem"]["detail"]

    left = [each["thing"] for each in outcomes if each["problem"]]
    for _ in left:
        call("POST", REMOVALS, {"things": left}, **OPERATOR)
        left = left[1:]
    assert call("GET", "/api/fleet", **OPERATOR)[1]["headsets"] == []


def test_a_rollout_to_a_tag_has_the_headsets_with_the_tag(
    call: Call, things: list[str], tag: Any, platform: FakePlatform
) -> None:
    tag(["left", "bobs"], add=["night"])
    body = {"name": "n", "config": {"telemetry_interval_s": 600}, "query": {"tag": "night"}}
    status, rollout, _ = call("POST", "/api/rollouts", body, **OPERATOR)
    rollout_steps.take(rollout["id"], platform.deps)

    assert (status, rollout["headsets"], rollout["query"]["tag"]) == (201, 2, "night")
    assert targets(rollout, platform) == {"left": None, "bobs": None}


def test_a_rollout_to_chosen_headsets_knows_their_attenuation(
    call: Call, things: list[str], platform: FakePlatform
) -> None:
    call("POST", "/api/devices/left/telemetry", {"attenuation_db": 12.5})
    body = {"name": "n", "config": {"telemetry_interval_s": 600}, "things": ["left", "bobs", "left"]}
    status, rollout, _ = call("POST", "/api/rollouts", body, **OPERATOR)
    rollout_steps.take(rollout["id"], platform.deps)

    assert (status, rollout["headsets"], rollout["things"]) == (201, 2, ["left", "bobs"])
    assert targets(rollout, platform) == {"left": 12.5, "bobs": None}


def test_a_rollout_to_a_headset_that_was_not_claimed_yet_is_refused(
    call: Call, platform: FakePlatform
) -> None:
    """On AWS, a thing of this name is missing, which would fail each step, or another deployment's."""
    call("PUT", "/api/device-models/AX2", {"secondary": [0.0, 0.5]}, **OPERATOR)
    call("POST", "/api/device-models/AX2/serials", {"serials": ["AX2-1"]}, **OPERATOR)
    body = {"name": "n", "config": {"telemetry_interval_s": 600}, "things": ["AX2-1"]}
    status, answer, _ = call("POST", "/api/rollouts", body, **OPERATOR)

    assert (status, answer["detail"]) == (404, "things: AX2-1 has not been claimed yet")


def test_a_headset_that_was_registered_anew_and_not_claimed_gets_no_job(
    call: Call, things: list[str], platform: FakePlatform
) -> None:
    body = {"name": "n", "config": {"telemetry_interval_s": 600}, "things": ["left", "right"]}
    rollout = call("POST", "/api/rollouts", {**body, "canary_percent": 100}, **OPERATOR)[1]
    left = platform.deps.devices.get("left")
    assert left is not None
    platform.deps.devices.put(left.replace(claimable=True))
    rollout_steps.take(rollout["id"], platform.deps)

    found = call("GET", f"/api/rollouts/{rollout['id']}/headsets", **OPERATOR)[1]["headsets"]
    assert {each["thing"]: each["status"] for each in found} == {"left": "cancelled", "right": "queued"}


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"things": ["left", "absent"]}, "things: absent is not registered"),
        ({"things": ["left"], "query": {"model": "AX2"}}, "things: give either things or query"),
        ({"things": ["left"] * 101}, "things: must have at most 100 items"),
    ],
)
def test_a_rollout_to_chosen_headsets_is_refused_with_the_reason(
    call: Call, things: list[str], selection: Any, message: str
) -> None:
    body = {"name": "n", "config": {"telemetry_interval_s": 600}, **selection}
    status, answer, _ = call("POST", "/api/rollouts", body, **OPERATOR)

    assert status in (400, 404)
    assert message in answer["detail"]


def targets(rollout: Any, platform: FakePlatform) -> dict[str, float | None]:
    batches = platform.deps.rollout_batches.list(rollout["id"])
    found: list[Target] = [target for batch in batches for target in batch.targets]
    return {target.thing: target.before_db for target in found}
