"""Fixtures that several kinds of tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from anc.ports import World
from tests.worlds import Clock, TestWorld, make_world


@pytest.fixture(scope="session", autouse=True)
def no_data_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests, and the processes that they start, away from the data of who runs them."""
    before = os.environ.get("ANC_DATA")
    os.environ["ANC_DATA"] = str(tmp_path_factory.mktemp("user") / "data")
    yield
    os.environ.pop("ANC_DATA")
    if before is not None:
        os.environ["ANC_DATA"] = before


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(tmp_path: Path, clock: Clock) -> TestWorld:
    return make_world(tmp_path, clock)


@pytest.fixture
def world(platform: TestWorld) -> World:
    return platform.world
