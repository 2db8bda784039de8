"""Upload the console's files to its bucket: run `python -m infra.publish anc-dev` after a deployment.

Unlike CDK's BucketDeployment, this leaves no function with access to the bucket in the account.
"""

import argparse
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

from infra.environment import REGION

WEB = Path(__file__).parents[1] / "web"
NOT_FOR_BROWSERS = ("headers.json", "README.md", ".d.ts")
FIRST_PAGE = "index.html"
CACHE_CONTROL = "no-cache"  # revalidate each time
MEDIA_TYPES = mimetypes.MimeTypes()
MEDIA_TYPES.add_type("text/javascript", ".js")


def main() -> None:
    """Publish the console of a deployment."""
    parser = argparse.ArgumentParser(prog="python -m infra.publish", description=__doc__)
    parser.add_argument("stacks", help="name prefix of the stacks: anc-dev or anc-prod")
    parser.add_argument("--region", default=REGION)
    arguments = parser.parse_args()
    stacks = boto3.client("cloudformation", region_name=arguments.region)
    (console,) = stacks.describe_stacks(StackName=f"{arguments.stacks}-console")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in console["Outputs"]}
    for done in publish(boto3.client("s3", region_name=arguments.region), outputs["ConsoleBucket"]):
        print(done)
    print(f"The console is at {outputs['ConsoleUrl']}")


def publish(s3: Any, bucket: str) -> Iterator[str]:
    """Synchronize a bucket with the console's files and yield a line of text for each change.

    The page is uploaded after the files that it loads, and obsolete files are deleted last, so that a browser
    gets a consistent version at any time.
    """
    files = console_files()
    for name in sorted(files, key=lambda name: (name == FIRST_PAGE, name)):
        s3.put_object(
            Bucket=bucket,
            Key=name,
            Body=files[name].read_bytes(),
            ContentType=media_type(name),
            CacheControl=CACHE_CONTROL,
        )
        yield f"uploaded {name}"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    existing = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
    for name in sorted(existing - files.keys()):
        s3.delete_object(Bucket=bucket, Key=name)
        yield f"deleted {name}"


def console_files() -> dict[str, Path]:
    """Return the console's files by object key."""
    return {
        str(path.relative_to(WEB)): path
        for path in WEB.rglob("*")
        if path.is_file() and not path.name.endswith(NOT_FOR_BROWSERS)
    }


def media_type(name: str) -> str:
    """Return the media type of a file."""
    return MEDIA_TYPES.guess_type(name)[0] or "text/plain"


if __name__ == "__main__":
    main()
