"""Remove what CloudFormation cannot delete with the stacks: run `python -m infra.teardown anc-dev` before.

CloudFormation deletes no bucket with objects in it, no policy that is attached to a certificate, and no thing
type that a thing has. The stacks have no function with rights to remove all of them. Buckets that are
retained are not touched. The headsets of an environment cannot connect without its stacks, so they are
removed in any case.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import boto3

from infra.empty_buckets import buckets_to_empty, empty
from infra.environment import REGION
from infra.registered_headsets import Registry

# Resources that CloudFormation does not delete before they are empty or unused, and that this module takes
# care of.
HANDLED = {"AWS::S3::Bucket", "AWS::IoT::Policy", "AWS::IoT::ThingType", "AWS::IoT::ThingGroup"}


def main() -> None:
    """List what will be removed, ask for confirmation, and remove it."""
    parser = argparse.ArgumentParser(prog="python -m infra.teardown", description=__doc__)
    parser.add_argument("stacks", help="name prefix of the stacks: anc-dev or anc-prod")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    arguments = parser.parse_args()

    def client(service: str) -> Any:
        return boto3.client(service, region_name=arguments.region)  # type: ignore[call-overload]

    cloudformation, s3 = client("cloudformation"), client("s3")
    buckets = list(buckets_to_empty(cloudformation, arguments.stacks))
    registry = Registry.of(cloudformation, client("iot"), client("iot-data"), arguments.stacks)
    print("All objects in these buckets will be deleted permanently:", *buckets or ["none"], sep="\n  ")
    print("These headsets and their certificates will be removed; they cannot connect any more:")
    print(*(f"  {line}" for line in registry.listed() or ["none"]), sep="\n")
    if not arguments.yes and input(f"Type {arguments.stacks} to continue: ") != arguments.stacks:
        sys.exit("nothing was deleted")
    for done in _remove(s3, buckets, registry):
        print(done)


def _remove(s3: Any, buckets: list[str], registry: Registry) -> Iterator[str]:
    yield from registry.remove()
    for bucket in buckets:
        yield f"emptied {bucket}: {empty(s3, bucket)} files"


if __name__ == "__main__":
    main()
