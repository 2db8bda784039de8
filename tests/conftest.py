"""Shared fixtures, and the distribution of tests to workers."""

import gc
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

import hypothesis
import pytest
import typer.main
import typer.testing
from argon2 import PasswordHasher
from hypothesis import HealthCheck
from xdist.scheduler import LoadScopeScheduling

import local  # one BLAS thread, as in the platform; numpy is imported after it
from anc.ports import Dependencies
from local.process import cores
from tests.fakes import Clock, FakePlatform, make_dependencies

# The same examples each time, however long they take: neither chance nor a busy machine fails a test.
hypothesis.settings.register_profile(
    "anc",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("anc")
# A shell ignores SIGINT for background jobs, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Half of the time that a worker takes to import all tests would go into looking for garbage.
gc.disable()
# What finds programs and libraries, and what chooses tests.
KEPT_VARIABLES = re.compile(
    r"PATH|HOME|USER|TMPDIR|LD_LIBRARY_PATH|SSL_CERT_(FILE|DIR)|(PYTHON|PYTEST|NODE|UV|PIP)_?.*"
    rf"|{'|'.join(local.BLAS_THREADS)}|CI|EXAMPLES|SCREENSHOTS|WRITE_RESOURCES|ANC_SOUNDS|ANC_BACKBONE"
)
MAX_WORKERS = 8  # each loads everything first
# Groups of tests: folders with expensive fixtures, and slow files.
LONGEST_FIRST = (
    "infra",
    "browser/test_live.py",
    "browser/test_pages.py",
    "integration/test_documents.py",
    "integration/test_rest_schema.py",
    "integration/test_package.py",
    "attacks",
    "unit/tools/evaluation/test_control.py",
)


def group_of(nodeid: str) -> str:
    """Return the group of tests that runs in one worker: a file, or a folder with expensive fixtures."""
    return _group_of_file(nodeid.partition("::")[0])


@cache
def _group_of_file(file: str) -> str:
    path = PurePosixPath(file.removeprefix("tests/"))
    return next((group for group in LONGEST_FIRST if path.is_relative_to(group)), path.as_posix())


class Groups(LoadScopeScheduling):
    """Assigns whole groups to workers; `--dist loadgroup` of pytest-xdist 3.8 does not with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """Isolate tests and their processes from the data and the environment of the user.

    Proxies, locales, time zones, colours, widths of terminals, umasks, accounts of AWS and settings of a
    platform change what commands do. The default data folder is that of a user without a platform; commands
    look it up when they are imported, which is before any fixture.
    """
    for name in [name for name in os.environ if not KEPT_VARIABLES.fullmatch(name)]:
        del os.environ[name]
    user = tempfile.TemporaryDirectory(prefix="anc-user-")
    config.add_cleanup(user.cleanup)
    os.umask(0o022)
    os.environ |= {"XDG_DATA_HOME": user.name, "ANC_DATA": f"{user.name}/data"}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many workers `-n auto` starts: one more than cores, since some wait for sound to play."""
    return min(len(cores()) or 2, MAX_WORKERS) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """See `Groups`."""
    return Groups(config, log)


def pytest_collection_finish() -> None:
    """Collect garbage again, but never look through what was imported and the tests: they stay.

    The tests begin in an empty folder, so that no `.env` of this checkout is read.
    """
    gc.enable()
    gc.freeze()
    os.chdir(os.environ["XDG_DATA_HOME"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first."""
    places = {group: place for place, group in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(group_of(item.nodeid), len(places)))


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hash passwords with little work. Platforms in separate processes hash as users' platforms do."""
    with mock.patch("local.auth.users.PasswordHasher", return_value=PasswordHasher(1, 8, 1)):
        yield


@pytest.fixture(scope="session", autouse=True)
def commands_built_once() -> Iterator[None]:
    """Build the command line once: `CliRunner` would for each of some hundred invocations."""
    with mock.patch("typer.testing._get_command", cache(typer.main.get_command)):
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(tmp_path: Path, clock: Clock) -> FakePlatform:
    return make_dependencies(tmp_path, clock)


@pytest.fixture
def deps(platform: FakePlatform) -> Dependencies:
    return platform.deps
