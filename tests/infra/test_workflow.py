"""The GitHub workflow runs all checks and accesses AWS without stored keys."""

import re

import boto3
import pytest
import yaml

from infra.wheels import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "platform.yml"
JOBS = yaml.safe_load(WORKFLOW.read_text())["jobs"]
DEPLOYMENTS = [name for name, job in JOBS.items() if "environment" in job]


@pytest.fixture(scope="module")
def role():
    # Every worker collects this file, and cfn-lint takes half a second to import.
    from cfnlint.decode import decode  # noqa: PLC0415

    return decode(str(ROOT / "infra" / "github.yaml"))[0]["Resources"]["Role"]["Properties"]


def test_every_make_target_of_the_workflow_exists():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = re.findall(r"run: make ([a-z-]+)", WORKFLOW.read_text())

    expected = {"lint", "secrets", "audit", "guard", "test", "synth", "deploy-emulated", "deploy"}
    assert expected == set(made) <= set(targets)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_follows_the_tests_and_is_smoke_tested(name):
    job = JOBS[name]
    runs = [step["run"] for step in job["steps"] if "run" in step]

    assert job["needs"] == ["test", "synth"]
    assert job["environment"] == name
    assert f"ENV={name} " in runs[0]
    assert runs[1] == f".venv/bin/anc smoke --stacks anc-{name}"


def test_only_deployments_get_oidc_tokens_and_no_job_has_aws_keys():
    may = {name for name, job in JOBS.items() if job.get("permissions", {}).get("id-token") == "write"}

    assert may == set(DEPLOYMENTS) == {"dev", "prod"}
    assert "secrets." not in WORKFLOW.read_text()


def test_actions_are_pinned_and_tokens_are_read_only():
    used = [step for job in JOBS.values() for step in job["steps"] if "uses" in step]

    assert used
    for step in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def actions_of(code):
    """Return the IAM actions of the boto3 calls in a source file."""
    text = (ROOT / code).read_text()
    named = set(re.findall(r"\.(\w+)\(", text)) | set(re.findall(r'get_paginator\("(\w+)"\)', text))
    for service in set(re.findall(r'client\("([\w-]+)"', text)):
        operations = boto3.client(service, region_name="eu-central-1").meta.method_to_api_mapping
        for call in named & operations.keys():
            prefix = service.replace("service-quotas", "servicequotas")
            action = f"{prefix}:{operations[call]}"
            yield action.replace("s3:ListObjectsV2", "s3:ListBucket")


def test_the_github_role_may_only_deploy_publish_and_test(role):
    statements = [each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]
    may = {
        action
        for each in statements
        for action in (each["Action"] if isinstance(each["Action"], list) else [each["Action"]])
    }
    (target,) = re.findall(r"^deploy:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    modules = re.findall(r"python -m (infra\.\w+)", target)
    code = [*(f"{name.replace('.', '/')}.py" for name in modules), "tools/smoke/targets.py"]
    does = {action for path in code for action in actions_of(path)}

    under_key = {"kms:GenerateDataKey", "kms:Decrypt"}  # what SQS does in its name with an encrypted queue
    assert may == does | under_key | {"sts:AssumeRole"}


def test_the_github_role_may_test_only_its_own_environment(role):
    for policy in role["Policies"]:
        for each in policy["PolicyDocument"]["Statement"]:
            if policy["PolicyName"] == "account":  # settings that the environments of an account share
                continue
            if each["Action"] != "sts:AssumeRole":  # the roles of CDK, which are the account's
                assert "Environment" in str([each["Resource"], each.get("Condition")]), each["Sid"]


def test_the_github_role_trusts_one_environment_of_one_repository(role):
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {"Ref": "Subject"},
        }
    }
