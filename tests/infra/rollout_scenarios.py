"""Scenarios of rollouts, run through the functions on AWS; each is a separate test."""

import json
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.iot.models import iot_backends

from anc.rollout_records import RolloutBatch, Target
from tests.aws_limits import REGION
from tests.infra.account import Account

HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2]}
CONFIG = {"name": "calm", "config": {"snapshot_interval_s": 60.0}, "canary_percent": 100.0}
OPERATOR = {"role": "operator"}
ONE = "/api/rollouts/{id}"


def _created(aws: Account, **changes: Any) -> Any:
    """Register a headset, which fleet indexing finds, and create a rollout of configuration for it."""
    aws.rest("POST", "/api/devices", HEADSET)
    aws.limits.index["GetStatistics"] = {"statistics": {"count": 1}}
    reported = {"name": {"fleet": {"reported": {"owner": "alice", "attenuation_db": 112.5}}}}
    found = {"thingName": "left", "thingTypeName": "headset", "shadow": json.dumps(reported)}
    aws.limits.index["SearchIndex"] = {"things": [found]}
    status, made = aws.rest("POST", "/api/rollouts", CONFIG | changes, **OPERATOR)
    assert status == 201, made
    return made


def _step(aws: Account, rollout: Any) -> Any:
    """Take the next step of a rollout; return it as the API shows it."""
    aws.invoke("rollout_manager", {})
    return aws.rest("GET", ONE, id=rollout["id"], **OPERATOR)[1]


def _report(job: str, status: str) -> None:
    """Report the status of a job, as a headset over MQTT, which moto lacks."""
    iot_backends[DEFAULT_ACCOUNT_ID][REGION].job_executions[job, "left"].status = status


def a_rollout_reaches_a_headset_and_becomes_its_desired_state(aws: Account) -> None:
    """Its job is of AWS IoT. An interrupted plan is replaced."""
    made = _created(aws)
    interrupted = RolloutBatch(key=f"{made['id']}-00007", group=made["id"], targets=(Target("gone"),))
    aws.deps.rollout_batches.put(interrupted)
    assert _step(aws, made)["counts"]["queued"] == 1
    (day,) = aws.rest("GET", "/api/fleet/history", **OPERATOR)[1]["days"]
    assert day["headsets"] == 1
    job = f"anc-dev-{made['id']}-00000"
    assert json.loads(iot_backends[DEFAULT_ACCOUNT_ID][REGION].jobs[job].document) == {
        "config": {"snapshot_interval_s": 60.0}
    }
    _report(job, "SUCCEEDED")
    aws.rest("POST", "/api/devices/{id}/telemetry", {"attenuation_db": 12.0}, id="left")
    done = _step(aws, made)
    assert (done["state"], done["counts"]["succeeded"]) == ("done", 1)
    assert [each["thing"] for each in aws.waiting("updates")] == ["left"]
    control = aws.deps.controls.get("left")
    assert control is not None
    assert control.config.snapshot_interval_s == 60.0
    headsets = aws.rest("GET", f"{ONE}/headsets", id=made["id"], **OPERATOR)[1]["headsets"]
    assert [(each["thing"], each["before_db"]) for each in headsets] == [("left", 12.5)]


def a_rollout_that_fails_is_stopped_and_announced(aws: Account) -> None:
    """With an entry in the audit log."""
    made = _created(aws)
    _step(aws, made)
    _report(f"anc-dev-{made['id']}-00000", "FAILED")
    stopped = _step(aws, made)
    assert (stopped["state"], stopped["reason"]) == (
        "stopped",
        "1 of 1 headsets failed (100.0 %, limit 5 %)",
    )
    (entry,) = [each for each in aws.deps.audit.list("audit") if each.action == "rollout.stop"]
    assert entry.subject == made["id"]


def a_rollout_to_headsets_that_are_offline_is_selected_by_the_request(aws: Account) -> None:
    """Others may be offline a minute later."""
    made = _created(aws, query={"online": False})
    aws.limits.index["SearchIndex"] = {"things": []}
    assert (made["stage"], made["headsets"]) == ("canary", 1)
    assert _step(aws, made)["counts"]["queued"] == 1


def a_rollout_is_paused_and_cancelled(aws: Account) -> None:
    """Its jobs are cancelled."""
    made = _created(aws)
    _step(aws, made)
    assert len(aws.rest("GET", "/api/rollouts", **OPERATOR)[1]["rollouts"]) == 1
    for action, state in (("pause", "paused"), ("cancel", "cancelled")):
        assert aws.rest("PATCH", ONE, {"action": action}, id=made["id"], **OPERATOR)[1]["state"] == state
    assert _step(aws, made)["counts"]["cancelled"] == 1
    assert iot_backends[DEFAULT_ACCOUNT_ID][REGION].jobs[f"anc-dev-{made['id']}-00000"].status == "CANCELED"
