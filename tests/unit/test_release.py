"""A release: one version in tag, packages and changelog, and a workflow with few rights."""

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from anc import __version__
from tests.published_schemas import published_schema

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "release_notes.py"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
SOURCE = '__version__ = "2.1.0"\n'
SECTIONS = """# Changelog

## [Unreleased]

## [2.1.0] - 2027-01-31

### Added

- A.

## [2.0.0] - 2027-01-01

- B.
"""
notes: Callable[[str, str, str], str] = runpy.run_path(str(SCRIPT))["notes"]


def test_the_notes_of_a_release_are_the_section_of_its_version() -> None:
    assert notes("v2.1.0", SECTIONS, SOURCE) == "### Added\n\n- A."


@pytest.mark.parametrize(
    ("tag", "changelog", "reason"),
    [
        ("v2.1.1", SECTIONS, r"tag v2\.1\.1: the packages have version 2\.1\.0"),
        ("2.1.0", SECTIONS, r"tag 2\.1\.0: the packages have version"),
        ("v2.1.0", "## [Unreleased]\n\n- A.\n", "must have a section"),
        ("v2.1.0", SECTIONS.replace(" - 2027-01-31", ""), "must have a section"),
        ("v2.1.0", "## [2.1.0] - 2027-01-31\n\n## [2.0.0] - 2027-01-01\n", "must have a section"),
    ],
)
def test_a_tag_without_its_version_or_changes_is_refused(tag: str, changelog: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        notes(tag, changelog, SOURCE)


def test_the_command_prints_why_this_version_cannot_be_released() -> None:
    command = [sys.executable, str(SCRIPT), "v0.0.1"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (
        1,
        f"tag v0.0.1: the packages have version {__version__}\n",
    )


def test_the_version_is_semantic_and_the_changelog_has_no_later_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    released = re.findall(r"^## \[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d$", CHANGELOG, re.MULTILINE)
    versions = [tuple(int(part) for part in each) for each in released]
    assert versions == sorted(versions, reverse=True)
    current = tuple(int(part) for part in __version__.split(".")[:3])
    assert all(each <= current for each in versions)
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert len(headings) == len(released) + 1


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_jobs_have_limits(workflow: Path) -> None:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)] == []
    assert [name for name, job in jobs.items() if "timeout-minutes" not in job] == []


def test_only_the_jobs_that_publish_can_write_or_prove_who_they_are() -> None:
    document = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    assert document["permissions"] == {}
    jobs = document["jobs"]
    writes = {
        name: {right for right, level in job["permissions"].items() if level == "write"}
        for name, job in jobs.items()
    }
    assert writes == {
        "build": set(),
        "attest": {"id-token", "attestations"},
        "packages": {"id-token"},
        "image": {"packages", "id-token", "attestations"},
        "release": {"contents"},
    }
    assert jobs["packages"]["environment"] == "pypi"
    assert "secrets." not in str(document)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_follows_its_schema(workflow: Path) -> None:
    document = yaml.safe_load(workflow.read_text())
    document["on"] = document.pop(True)  # YAML 1.1 reads the key as a boolean
    jsonschema_rs.validate(published_schema("github-workflows"), document)


def test_the_workflows_pass_a_security_linter() -> None:
    command = [Path(sys.executable).with_name("zizmor"), "--offline", "--no-progress", *WORKFLOWS]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
