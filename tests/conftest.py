"""Fixtures that several kinds of tests share."""

from pathlib import Path

import pytest

import local  # noqa: F401  one BLAS thread, as in the platform; numpy is imported after it
from anc.ports import World
from tests.worlds import Clock, TestWorld, make_world


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(tmp_path: Path, clock: Clock) -> TestWorld:
    return make_world(tmp_path, clock)


@pytest.fixture
def world(platform: TestWorld) -> World:
    return platform.world
