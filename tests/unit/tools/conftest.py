"""What the tests of commands share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.configuration import NAMES, SECRETS


@pytest.fixture
def command_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Call commands in an empty folder, and undo what they change in this process.

    No `.env` of this checkout is read. A command sets environment variables from `.env`, and a platform that
    starts in this process sets the umask.
    """
    monkeypatch.chdir(tmp_path)
    for name in (*NAMES, *(f"{secret}_FILE" for secret in SECRETS)):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    before = os.umask(0o022)
    yield
    os.umask(before)
