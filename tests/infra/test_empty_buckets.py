"""Buckets that are deleted with their stacks are emptied before, and no others."""

import boto3
import pytest
from moto import mock_aws

from infra import empty_buckets

REGION = "eu-central-1"
BUCKETS = {
    "going": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Delete"},
    "staying": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
    "topic": {"Type": "AWS::SNS::Topic"},
}
STACKS = {
    "anc-dev-data": {"Resources": BUCKETS},
    "anc-prod-data": {"Resources": BUCKETS},
    "anc-dev-own": "YAML",
}


class CloudFormation:
    """What is asked of it, answered; a bucket is named by its stack."""

    def get_paginator(self, operation):
        assert operation == "describe_stacks"
        return self

    def paginate(self):
        return ({"Stacks": [{"StackName": name}]} for name in STACKS)

    def get_template(self, StackName):
        return {"TemplateBody": STACKS[StackName]}

    def describe_stack_resource(self, StackName, LogicalResourceId):
        return {"StackResourceDetail": {"PhysicalResourceId": f"{StackName}-{LogicalResourceId}"}}


@pytest.fixture
def s3(monkeypatch):
    """Return S3 with three versions and a delete marker in each bucket."""
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
        clients = {"s3": s3, "cloudformation": CloudFormation()}
        monkeypatch.setattr(empty_buckets.boto3, "client", lambda service, **_: clients[service])
        yield s3


def left(s3, bucket):
    found = s3.list_object_versions(Bucket=bucket)
    return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))


def run(monkeypatch, *arguments, answer=""):
    monkeypatch.setattr("sys.argv", ["empty", *arguments])
    monkeypatch.setattr("builtins.input", lambda _: answer)
    empty_buckets.main()


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
