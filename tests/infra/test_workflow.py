"""GitHub's workflow runs what there is to run, and comes to AWS without a key that could leak."""

import re

import pytest
import yaml

from infra.wheels import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "platform.yml"
JOBS = yaml.safe_load(WORKFLOW.read_text())["jobs"]
DEPLOYMENTS = [name for name, job in JOBS.items() if "environment" in job]


def test_every_target_that_it_makes_is_there():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = re.findall(r"run: make ([a-z-]+)", WORKFLOW.read_text())

    assert {"lint", "test", "synth", "deploy-emulated", "deploy"} == set(made) <= set(targets)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_waits_for_the_tests_and_is_tried_afterwards(name):
    job = JOBS[name]
    runs = [step["run"] for step in job["steps"] if "run" in step]

    assert job["needs"] == ["test", "synth"]
    assert job["environment"] == name
    assert f"ENV={name} " in runs[0]
    assert runs[1] == f".venv/bin/anc smoke --stacks anc-{name}"


def test_only_a_deployment_may_prove_to_aws_who_it_is_and_nothing_holds_a_key():
    may = {name for name, job in JOBS.items() if job.get("permissions", {}).get("id-token") == "write"}

    assert may == set(DEPLOYMENTS) == {"dev", "prod"}
    assert "secrets." not in WORKFLOW.read_text()
