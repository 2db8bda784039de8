"""Rollouts to the headsets that a list of the fleet shows: the same conditions select the same headsets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anc.fleet_records import FleetQuery, HeadsetSummary
from anc.schemas.rest.rollouts import RolloutConditions, RolloutQuery
from anc.services.headsets import rollout_steps, rollouts
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
PATH = "/api/rollouts"
OPERATOR = {"user": "olga", "role": "operator"}
CONTENT = {"name": "calm", "config": {"telemetry_interval_s": 600}}
HOUR_S = 3600.0
NAMES = {"name": "prefix"}  # of a condition of the list in a rollout, if another
NO_CONDITION = {"sort", "limit", "after"}
OPENAPI = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())


@pytest.fixture(autouse=True)
def fleet(platform: FakePlatform) -> None:
    """Add headsets of which each condition selects other ones."""
    now = platform.clock.now
    states: dict[str, dict[str, Any]] = {
        "AX2-1": {"tags": ("night",), "noise": "engine", "attenuation_db": 4.0, "online": True},
        "AX2-2": {"owner": "bob", "noise": "road", "attenuation_db": 6.0, "refused_at": now - HOUR_S},
        "BX-1": {"model": "Studio", "firmware": "1.4.2", "online": False, "reverted_at": now - HOUR_S},
        "BX-2": {"refused_at": now - 30 * HOUR_S, "reverted_at": now - 30 * HOUR_S},
    }
    for thing, state in states.items():
        platform.deps.fleet_index.update(
            HeadsetSummary(**{"thing": thing, "owner": "ada", "model": "AX2", **state})
        )


def targets(rollout: Any, platform: FakePlatform) -> set[str]:
    batches = platform.deps.rollout_batches.list(rollout["id"])
    return {target.thing for batch in batches for target in batch.targets}


def test_every_condition_of_the_list_can_be_one_of_a_rollout() -> None:
    parameters = OPENAPI["paths"]["/api/fleet"]["get"]["parameters"]
    conditions = {each["name"] for each in parameters} - NO_CONDITION

    assert {NAMES.get(name, name) for name in conditions} == set(RolloutQuery.model_fields)
    assert set(RolloutConditions.model_fields) == set(FleetQuery.__struct_fields__)


@pytest.mark.parametrize(
    ("condition", "things"),
    [
        ({}, {"AX2-1", "AX2-2", "BX-1", "BX-2"}),
        ({"name": "ax2"}, {"AX2-1", "AX2-2"}),
        ({"tag": "night"}, {"AX2-1"}),
        ({"owner": "bob"}, {"AX2-2"}),
        ({"model": "studio"}, {"BX-1"}),
        ({"firmware": "1.4.2"}, {"BX-1"}),
        ({"noise": "engine"}, {"AX2-1"}),
        ({"online": True}, {"AX2-1"}),
        ({"online": False}, {"AX2-2", "BX-1", "BX-2"}),
        ({"attenuation_below": 6}, {"AX2-1"}),
        ({"refused_hours": 24}, {"AX2-2"}),
        ({"reverted_hours": 24}, {"BX-1"}),
        ({"refused_hours": 720, "model": "AX2", "online": False}, {"AX2-2", "BX-2"}),
    ],
)
def test_a_rollout_has_the_headsets_that_the_list_shows(
    call: Call, platform: FakePlatform, condition: dict[str, Any], things: set[str]
) -> None:
    texts = {name: str(value).lower() for name, value in condition.items()}
    shown = call("GET", "/api/fleet", **texts, **OPERATOR)[1]["headsets"]
    query = {NAMES.get(name, name): value for name, value in condition.items()}
    status, rollout, _ = call("POST", PATH, {**CONTENT, "query": query}, **OPERATOR)
    rollout_steps.take(rollout["id"], platform.deps)

    assert {each["thing"] for each in shown} == things
    assert (status, rollout["headsets"], targets(rollout, platform)) == (201, len(things), things)


def test_a_condition_that_changes_by_itself_selects_when_the_rollout_is_created(
    call: Call, platform: FakePlatform
) -> None:
    query = {"online": False, "attenuation_below": 20, "refused_hours": 2, "reverted_hours": 720}
    platform.deps.fleet_index.update(HeadsetSummary(thing="BX-1", attenuation_db=3.0, refused_at=1.8e9))
    status, rollout, _ = call("POST", PATH, {**CONTENT, "query": query}, **OPERATOR)
    for thing in ("AX2-1", "BX-2"):  # an hour without network
        platform.deps.fleet_index.update(
            HeadsetSummary(thing=thing, online=False, attenuation_db=3.0, refused_at=1.8e9, reverted_at=1.8e9)
        )
    rollout_steps.take(rollout["id"], platform.deps)

    assert (status, rollout["stage"], rollout["headsets"], rollout["canary"]) == (201, "canary", 1, 1)
    assert targets(rollout, platform) == {"BX-1"}
    (stored,) = call("GET", PATH, **OPERATOR)[1]["rollouts"]
    assert stored["query"] == {
        "prefix": "",
        "tag": "",
        "owner": "",
        "model": "",
        "firmware": "",
        "noise": "",
        "online": False,
        "attenuation_below": 20,
        "refused_since": platform.clock.now - 2 * HOUR_S,
        "reverted_since": platform.clock.now - 720 * HOUR_S,
    }
    (entry,) = [each for each in platform.deps.audit.list("audit") if each.action == "rollout.create"]
    assert entry.detail["headsets"] == "1"


@pytest.mark.parametrize(
    "query",
    [{"noise": "road"}, {"online": False}, {"attenuation_below": 99}, {"refused_hours": 1}],
    ids=lambda query: next(iter(query)),
)
def test_more_headsets_than_a_request_can_select_are_refused(
    call: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any]
) -> None:
    monkeypatch.setattr(platform.deps.fleet_index, "count", lambda query: rollouts.MAX_FLEETING + 1)
    status, problem, _ = call("POST", PATH, {**CONTENT, "query": query}, **OPERATOR)

    assert (status, problem["code"]) == (413, "too_large")
    assert "at most 2,000 headsets can be selected by noise" in problem["detail"]
    assert "(2,001 match); add a condition" in problem["detail"]
    assert call("GET", PATH, **OPERATOR)[1]["rollouts"] == []
    assert call("POST", PATH, {**CONTENT, "query": {"model": "AX2"}}, **OPERATOR)[0] == 201


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ({"online": "yes"}, "query.online: "),
        ({"attenuation_below": 101}, "query.attenuation_below: must be at most 100 (got 101)"),
        ({"refused_hours": 0}, "query.refused_hours: must be greater than 0 (got 0)"),
        ({"reverted_hours": 721}, "query.reverted_hours: must be at most 720 (got 721)"),
        ({"noise": "a b"}, "query.noise: "),
        ({"noise": "engine\n"}, "query.noise: "),
    ],
)
def test_a_condition_outside_its_limits_is_refused_as_in_the_list(
    call: Call, query: dict[str, Any], detail: str
) -> None:
    status, problem, _ = call("POST", PATH, {**CONTENT, "query": query}, **OPERATOR)

    assert (status, problem["code"]) == (400, "bad_field")
    assert detail in problem["detail"]
    assert call("GET", PATH, **OPERATOR)[1]["rollouts"] == []
