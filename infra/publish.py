"""Put the console's files where CloudFront finds them: `python -m infra.publish anc-dev`, after a deployment.

No function with rights to the bucket stays behind, as CDK's own way would have it; who deploys does it.
"""

import argparse
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

from infra.environment import REGION

WEB = Path(__file__).parents[1] / "web"
NOT_FOR_BROWSERS = {"headers.json", "README.md"}
FIRST_PAGE = "index.html"
FRESH = "no-cache"  # asked for each time, sent only when it changed
KINDS = mimetypes.MimeTypes()
KINDS.add_type("text/javascript", ".js")


def main() -> None:
    """Publish to the deployment that is named."""
    parser = argparse.ArgumentParser(prog="python -m infra.publish", description=__doc__)
    parser.add_argument("stacks", help="what the stacks' names begin with: anc-dev, anc-prod")
    parser.add_argument("--region", default=REGION)
    asked = parser.parse_args()
    stacks = boto3.client("cloudformation", region_name=asked.region)
    (console,) = stacks.describe_stacks(StackName=f"{asked.stacks}-console")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in console["Outputs"]}
    for done in publish(boto3.client("s3", region_name=asked.region), outputs["ConsoleBucket"]):
        print(done)
    print(f"The console is at {outputs['ConsoleUrl']}")


def publish(s3: Any, bucket: str) -> Iterator[str]:
    """Make a bucket hold the console and nothing else; yields what is done.

    The page comes after all that it loads, and what it does not load any more goes last, so that whoever
    opens it meanwhile gets the old one or the new one whole.
    """
    files = console_files()
    for name in sorted(files, key=lambda name: (name == FIRST_PAGE, name)):
        s3.put_object(
            Bucket=bucket,
            Key=name,
            Body=files[name].read_bytes(),
            ContentType=kind_of(name),
            CacheControl=FRESH,
        )
        yield f"sent {name}"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    there = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
    for name in sorted(there - files.keys()):
        s3.delete_object(Bucket=bucket, Key=name)
        yield f"removed {name}"


def console_files() -> dict[str, Path]:
    """Return the files of the console by their addresses."""
    return {
        str(path.relative_to(WEB)): path
        for path in WEB.rglob("*")
        if path.is_file() and path.name not in NOT_FOR_BROWSERS
    }


def kind_of(name: str) -> str:
    """Return the media type that a browser is told."""
    return KINDS.guess_type(name)[0] or "text/plain"


if __name__ == "__main__":
    main()
