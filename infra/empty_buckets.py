"""Empty the buckets that are deleted with their stacks: run `python -m infra.empty_buckets anc-dev` before.

CloudFormation cannot delete a bucket with objects in it, and the stacks have no function with such rights.
Buckets that are retained are not touched.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import boto3

from infra.environment import REGION

RETAINING_POLICIES = {"Retain", "RetainExceptOnCreate"}


def main() -> None:
    """Ask for confirmation and empty the buckets."""
    parser = argparse.ArgumentParser(prog="python -m infra.empty_buckets", description=__doc__)
    parser.add_argument("stacks", help="name prefix of the stacks: anc-dev or anc-prod")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    arguments = parser.parse_args()
    buckets = list(
        buckets_to_empty(boto3.client("cloudformation", region_name=arguments.region), arguments.stacks)
    )
    print("All objects in these buckets will be deleted permanently:", *buckets, sep="\n  ")
    if not arguments.yes and input(f"Type {arguments.stacks} to continue: ") != arguments.stacks:
        sys.exit("nothing was deleted")
    s3 = boto3.client("s3", region_name=arguments.region)
    for bucket in buckets:
        print(f"emptied {bucket}: {empty(s3, bucket)} files")


def buckets_to_empty(cloudformation: Any, stacks: str) -> Iterator[str]:
    """Yield the buckets that are deleted with the stacks."""
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if stack["StackName"].startswith(f"{stacks}-"):
                yield from buckets_of_stack(cloudformation, stack["StackName"])


def buckets_of_stack(cloudformation: Any, stack: str) -> Iterator[str]:
    """Yield the buckets that are deleted with a stack; its template must be JSON."""
    template = cloudformation.get_template(StackName=stack)["TemplateBody"]
    for logical, resource in template["Resources"].items() if isinstance(template, dict) else ():
        if resource["Type"] == "AWS::S3::Bucket" and resource.get("DeletionPolicy") not in RETAINING_POLICIES:
            found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=logical)
            yield found["StackResourceDetail"]["PhysicalResourceId"]


def empty(s3: Any, bucket: str) -> int:
    """Delete all versions of all objects and return their number."""
    deleted = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        versions = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if versions:
            names = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions]
            s3.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
            deleted += len(versions)
    return deleted


if __name__ == "__main__":
    main()
