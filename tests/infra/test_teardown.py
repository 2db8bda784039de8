"""Objects in buckets and headsets keep stacks from being deleted: they are removed before, and no others."""

from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from anc.schemas.topics import job_name
from infra import registered_headsets, teardown
from infra.registered_headsets import Registry

REGION = "eu-central-1"
BUCKETS = {
    "going": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Delete"},
    "staying": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
    "policy": {"Type": "AWS::IoT::Policy"},
    "kind": {"Type": "AWS::IoT::ThingType"},
}
STACKS = {
    "anc-dev-data": {"Resources": BUCKETS},
    "anc-prod-data": {"Resources": BUCKETS},
    "anc-dev-own": "YAML",
}


class CloudFormation:
    """What is asked of it, answered; a bucket is named by its stack."""

    def get_paginator(self, operation):
        return SimpleNamespace(paginate=getattr(self, operation))

    def describe_stacks(self):
        return ({"Stacks": [{"StackName": name}]} for name in STACKS)

    def list_stack_resources(self, StackName):
        resources = STACKS[StackName]["Resources"] if "data" in StackName else {}
        return [
            {
                "StackResourceSummaries": [
                    {"ResourceType": resource["Type"], "PhysicalResourceId": f"{StackName}-{name}"}
                    for name, resource in resources.items()
                ]
            }
        ]

    def get_template(self, StackName):
        return {"TemplateBody": STACKS[StackName]}

    def describe_stack_resource(self, StackName, LogicalResourceId):
        return {"StackResourceDetail": {"PhysicalResourceId": f"{StackName}-{LogicalResourceId}"}}


@pytest.fixture
def s3(monkeypatch):
    """Return S3 with three versions and a delete marker in each bucket, and a headset in each environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    with mock_aws():
        s3 = boto3.client("s3", region_name=REGION)
        for bucket in (f"anc-{env}-data-{name}" for env in ("dev", "prod") for name in ("going", "staying")):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            for n in range(3):
                s3.put_object(Bucket=bucket, Key="uploads/one", Body=b"%d" % n)
            s3.delete_object(Bucket=bucket, Key="uploads/one")
        iot, data = (boto3.client(name, region_name=REGION) for name in ("iot", "iot-data"))
        for env in ("dev", "prod"):
            iot.create_policy(policyName=f"anc-{env}-data-policy", policyDocument="{}")
            iot.create_thing_type(thingTypeName=f"anc-{env}-data-kind")
            register(iot, env)
        clients = {"s3": s3, "cloudformation": CloudFormation(), "iot": iot, "iot-data": data}
        monkeypatch.setattr(teardown.boto3, "client", lambda service, **_: clients[service])
        yield s3


def register(iot, env):
    """Register a headset with a certificate, and attach the policy to a claim certificate too."""
    iot.create_thing(thingName=f"{env}-headset", thingTypeName=f"anc-{env}-data-kind")
    for of_headset in (True, False):
        made = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
        iot.attach_policy(policyName=f"anc-{env}-data-policy", target=made)
        if of_headset:
            iot.attach_thing_principal(thingName=f"{env}-headset", principal=made)


def left(s3, bucket):
    found = s3.list_object_versions(Bucket=bucket)
    return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))


def run(monkeypatch, *arguments, answer=""):
    monkeypatch.setattr("sys.argv", ["empty", *arguments])
    monkeypatch.setattr("builtins.input", lambda _: answer)
    teardown.main()


def test_all_versions_in_buckets_to_be_deleted_are_removed_and_no_others(s3, monkeypatch):
    run(monkeypatch, "anc-dev", "--yes")

    assert left(s3, "anc-dev-data-going") == 0
    for bucket in ("anc-dev-data-staying", "anc-prod-data-going", "anc-prod-data-staying"):
        assert left(s3, bucket) == 4


@pytest.mark.parametrize("answer", ["", "y", "anc-prod"])
def test_buckets_are_emptied_only_after_confirmation(s3, monkeypatch, answer):
    with pytest.raises(SystemExit, match="nothing was deleted"):
        run(monkeypatch, "anc-dev", answer=answer)
    assert left(s3, "anc-dev-data-going") == 4

    run(monkeypatch, "anc-dev", answer="anc-dev")
    assert left(s3, "anc-dev-data-going") == 0


def test_headsets_and_certificates_of_the_environment_are_removed_and_no_others(s3, monkeypatch, capsys):
    iot = boto3.client("iot", region_name=REGION)
    run(monkeypatch, "anc-dev", "--yes")

    assert [thing["thingName"] for thing in iot.list_things()["things"]] == ["prod-headset"]
    assert not iot.list_targets_for_policy(policyName="anc-dev-data-policy")["targets"]
    assert len(iot.list_targets_for_policy(policyName="anc-prod-data-policy")["targets"]) == 2
    assert len(iot.list_certificates()["certificates"]) == 2
    iot.delete_policy(policyName="anc-dev-data-policy")
    iot.delete_thing_type(thingTypeName="anc-dev-data-kind")
    said = capsys.readouterr().out
    assert "dev-headset" in said.partition("removed certificate")[0], "before the question"
    assert "2 certificates" in said
    assert "prod-headset" not in said


def test_jobs_of_the_environment_are_deleted_however_many_are_being_deleted(s3):
    iot = boto3.client("iot", region_name=REGION)
    for env in ("dev", "prod"):
        thing = iot.describe_thing(thingName=f"{env}-headset")["thingArn"]
        name = job_name("01796032800000-0a1b2c3d-00000", env)
        iot.create_job(jobId=name, targets=[thing], document="{}")
    waits, refused = [], [iot.exceptions.LimitExceededException({"Error": {}}, "DeleteJob")] * 2

    def too_many(**_):
        if refused:
            raise refused.pop()

    iot.meta.events.register("before-call.iot.DeleteJob", too_many)
    registry = Registry.of(CloudFormation(), iot, boto3.client("iot-data", region_name=REGION), "anc-dev")
    assert "1 jobs of rollouts" in registry.listed()
    list(registry.remove(sleep=waits.append))

    assert waits == list(registered_headsets.JOB_WAITS_S[:2])
    assert [job["jobId"] for job in iot.list_jobs()["jobs"]] == ["anc-prod-01796032800000-0a1b2c3d-00000"]


def test_a_thing_whose_certificate_is_detached_late_is_deleted_after_all(s3):
    iot = boto3.client("iot", region_name=REGION)
    registry = Registry.of(CloudFormation(), iot, boto3.client("iot-data", region_name=REGION), "anc-dev")
    waits, refused = [], [iot.exceptions.InvalidRequestException({"Error": {}}, "DeleteThing")] * 2

    def late(**_):
        if refused:
            raise refused.pop()

    iot.meta.events.register("before-call.iot.DeleteThing", late)
    list(registry.remove(sleep=waits.append))

    assert waits == list(registered_headsets.DETACH_WAITS_S[:2])
    assert "dev-headset" not in [thing["thingName"] for thing in iot.list_things()["things"]]
