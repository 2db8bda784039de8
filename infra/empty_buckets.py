"""Empty the buckets that are deleted with their stacks; those that are retained are not touched."""

from collections.abc import Iterator
from typing import Any

RETAINING_POLICIES = {"Retain", "RetainExceptOnCreate"}


def buckets_to_empty(cloudformation: Any, stacks: str) -> Iterator[str]:
    """Yield the buckets that are deleted with the stacks."""
    for stack in stacks_of(cloudformation, stacks):
        yield from buckets_of_stack(cloudformation, stack)


def stacks_of(cloudformation: Any, prefix: str) -> Iterator[str]:
    """Yield the names of the stacks of an environment."""
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if stack["StackName"].startswith(f"{prefix}-"):
                yield stack["StackName"]


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
