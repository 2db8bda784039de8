"""Empty the buckets that go with their stacks: `python -m infra.empty_buckets anc-dev`, before the stacks go.

CloudFormation deletes no bucket with anything in it, and no function with rights to do so stays behind here.
Buckets that outlive their stacks are left as they are.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import boto3

from infra.environment import REGION

OUTLIVE = {"Retain", "RetainExceptOnCreate"}


def main() -> None:
    """Ask, and empty."""
    parser = argparse.ArgumentParser(prog="python -m infra.empty_buckets", description=__doc__)
    parser.add_argument("stacks", help="what the stacks' names begin with: anc-dev, anc-prod")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    asked = parser.parse_args()
    buckets = list(buckets_to_empty(boto3.client("cloudformation", region_name=asked.region), asked.stacks))
    print(f"With {asked.stacks} goes for good what is in these buckets:", *buckets, sep="\n  ")
    if not asked.yes and input(f"Type {asked.stacks} to go on: ") != asked.stacks:
        sys.exit("nothing was deleted")
    s3 = boto3.client("s3", region_name=asked.region)
    for bucket in buckets:
        print(f"emptied {bucket}: {empty(s3, bucket)} files")


def buckets_to_empty(cloudformation: Any, stacks: str) -> Iterator[str]:
    """Yield the buckets of the stacks that are deleted with them."""
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if stack["StackName"].startswith(f"{stacks}-"):
                yield from buckets_of_stack(cloudformation, stack["StackName"])


def buckets_of_stack(cloudformation: Any, stack: str) -> Iterator[str]:
    """Yield those buckets of one stack; boto3 parses a template that is JSON, as all of ours are."""
    template = cloudformation.get_template(StackName=stack)["TemplateBody"]
    for logical, resource in template["Resources"].items() if isinstance(template, dict) else ():
        if resource["Type"] == "AWS::S3::Bucket" and resource.get("DeletionPolicy") not in OUTLIVE:
            found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=logical)
            yield found["StackResourceDetail"]["PhysicalResourceId"]


def empty(s3: Any, bucket: str) -> int:
    """Delete every version of every file; returns how many."""
    deleted = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        there = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if there:
            names = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in there]
            s3.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
            deleted += len(there)
    return deleted


if __name__ == "__main__":
    main()
