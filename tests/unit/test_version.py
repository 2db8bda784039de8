"""One version, `anc.__version__`, is that of everything that states one."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

import anc_client
from anc import __version__
from anc.schemas.asyncapi import document as asyncapi
from functions.rest_api.handler import app
from functions.rest_api.openapi import document as openapi
from tools.cli.main import app as command

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["anc-platform", "anc-client"])
def test_both_packages_are_installed_in_this_version(name: str) -> None:
    assert version(name) == __version__, "make .venv/dev.stamp"


def test_both_documents_and_the_client_state_this_version() -> None:
    stated = [document["info"]["version"] for document in (openapi(app), asyncapi())]
    stated += [
        json.loads((DOCS / name).read_text())["info"]["version"] for name in ("openapi.json", "asyncapi.json")
    ]
    assert {*stated, anc_client.__version__} == {__version__}


def test_the_command_prints_this_version() -> None:
    assert CliRunner().invoke(command, ["--version"]).output == f"anc {__version__}\n"
