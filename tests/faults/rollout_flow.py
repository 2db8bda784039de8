"""The flow of a rollout: a configuration for a fleet of three, in steps that may be interrupted."""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from anc.fleet_records import FleetQuery
from anc.headset_records import DesiredConfiguration
from anc.rollout_records import Rollout
from anc.schemas.job import ExecutionUpdate
from anc.services.access.identity import Caller
from anc.services.headsets import rollout_steps, rollouts
from anc.services.headsets.rollouts import RolloutRequest
from tests.faults.flow import registered
from tests.faults.injection import Killed
from tests.faults.platform import FaultyPlatform

HEADSETS = 3
INTERVAL_S = 33.0  # what is rolled out
STEP_S = 60.0
MAX_STEPS = 40
OPERATOR = Caller("olga", "operator")


def _things(name: str) -> Sequence[str]:
    return [f"{name}-{number}" for number in range(HEADSETS)]


def _query(name: str) -> FleetQuery:
    return FleetQuery(prefix=f"{name}-")


def _rollouts(here: FaultyPlatform, name: str) -> Sequence[Rollout]:
    """Return the rollouts of the flow: one, or one for each attempt whose answer was lost."""
    found = rollouts.list_all(1000, "", here.fake.deps)
    return [rollout for rollout in found if rollout.query == _query(name)]


def small_fleet(here: FaultyPlatform, name: str) -> None:
    for thing in _things(name):
        registered(here, thing)


def roll_out(here: FaultyPlatform, name: str) -> None:
    request = RolloutRequest(
        name=name,
        firmware=None,
        config=DesiredConfiguration(telemetry_interval_s=INTERVAL_S),
        query=_query(name),
        canary_percent=30.0,
        soak_minutes=1.0,
        per_minute=100,
        max_failed_percent=10.0,
        max_drop_db=2.0,
    )
    here.request(lambda deps: rollouts.create(request, OPERATOR, deps))
    carried_out: Counter[tuple[str, str]] = Counter()
    for _ in range(MAX_STEPS):
        _step(here)
        for thing in _things(name):
            _take_job(here, thing, carried_out)
        here.run()
        here.clock.now += STEP_S
        if all(rollout.is_final for rollout in _rollouts(here, name)):
            break
    assert set(carried_out.values()) == {1}, "a headset carried out a job twice"
    assert {thing for thing, _ in carried_out} == set(_things(name)), "a headset got no job"


def _step(here: FaultyPlatform) -> None:
    """Take a step as the schedule does: one that fails is taken again a minute later."""
    try:
        rollout_steps.take_all(here.deps)
    except Killed:
        here.restart()
    except sqlite3.OperationalError:
        return


def _take_job(here: FaultyPlatform, thing: str, carried_out: Counter[tuple[str, str]]) -> None:
    """Let a headset ask for a job and report its success."""
    answers: list[tuple[str, dict[str, Any]]] = []
    jobs = here.fake.jobs
    jobs.publish = lambda topic, payload: answers.append((topic, json.loads(payload)))
    jobs.request(thing, "start-next", b"{}")
    execution = next(answer for topic, answer in answers if topic.endswith("start-next/accepted"))
    if found := execution.get("execution"):
        assert found["jobDocument"]["config"]["telemetry_interval_s"] == INTERVAL_S
        carried_out[thing, found["jobId"]] += 1
        done = msgspec.json.encode(ExecutionUpdate(status="SUCCEEDED"))
        assert jobs.request(thing, f"{found['jobId']}/update", done)


def check_rolled_out(here: FaultyPlatform, name: str) -> None:
    states = {rollout.state for rollout in _rollouts(here, name)}
    assert states == {"done"}, f"the rollout is {', '.join(sorted(states))}"
    for thing in _things(name):
        known = here.fake.deps.controls.get(thing)
        assert known is not None, "the configuration is not kept"
        assert known.config.telemetry_interval_s == INTERVAL_S, "the configuration is not kept"
        assert here.desired(thing)["config"]["telemetry_interval_s"] == INTERVAL_S, "the shadow is outdated"
