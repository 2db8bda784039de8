"""The resources of each stack are listed in files, so that reviews show changes."""

import os
import re
from pathlib import Path

import pytest

WRITTEN = Path(__file__).with_name("resources")
# These are made anew with every change of what they are a version of; their names end in a hash of it.
VERSIONS = ("AWS::ApiGateway::Deployment", "AWS::Lambda::Version")


def listed(template):
    """Return a line for each resource and output: type, name, and removal policy."""
    lines = [
        f"{resource['Type']:<36} {named(name, resource)}{fate(resource)}"
        for name, resource in template["Resources"].items()
    ]
    outputs = (name for name, output in template.get("Outputs", {}).items() if "Export" not in output)
    lines += [f"{'Output':<36} {name}" for name in outputs]
    return "".join(f"{line}\n" for line in sorted(lines))


def named(name, resource):
    """Return a resource's logical name; a changed name means a replacement."""
    return re.sub(r"[0-9a-f]{32}$", "*", name) if resource["Type"] in VERSIONS else name


def fate(resource):
    """Return what happens to a resource when its stack is deleted, unless it is deleted."""
    return " (kept)" if resource.get("DeletionPolicy") == "Retain" else ""


@pytest.mark.parametrize("deployment", ["dev", "prod"])
def test_stacks_match_their_resource_lists(deployment, stacks, prod):
    deployments = {"dev": stacks, "prod": prod}
    found = {name: listed(template) for name, template in deployments[deployment].templates.items()}

    folder = WRITTEN / deployment
    if os.environ.get("WRITE_RESOURCES"):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.txt"):
            old.unlink()
        for name, text in found.items():
            (folder / f"{name}.txt").write_text(text)

    written = {path.stem: path.read_text() for path in folder.glob("*.txt")}
    assert found == written, "if this was meant, write it down: make resources"
