"""The deployment page can be followed from top to bottom."""

import re

from infra.wheels import ROOT

PAGE = (ROOT / "docs" / "deploy.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh[a-z ]*\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
OF_THE_SHELL = {"PATH", "PWD"}


def test_variables_are_set_before_they_are_used():
    known = set(OF_THE_SHELL)
    for command in COMMANDS:
        used = {*re.findall(r"\$([A-Z_]+)", command), *re.findall(r"environ\[.([A-Z_]+)", command)}
        assert used <= known, command
        known |= {*re.findall(r"\bexport ([A-Z_]+)", command)}


def test_the_region_is_set_for_the_command_line_and_for_boto3():
    """boto3 reads AWS_DEFAULT_REGION only, the AWS command line AWS_REGION first."""
    assert COMMANDS[:2] == ["export AWS_REGION=eu-central-1", "export AWS_DEFAULT_REGION=$AWS_REGION"]


def test_commands_of_the_checkout_are_on_the_path_before_they_are_used():
    (path,) = [number for number, line in enumerate(COMMANDS) if line.startswith("export PATH=")]
    used = [number for number, line in enumerate(COMMANDS) if line.split()[0] in ("anc", "python")]
    assert path < min(used)
