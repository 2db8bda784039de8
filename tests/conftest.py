"""Fixtures that several kinds of tests share, and which tests run in one worker."""

from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck

from anc.ports import World
from tests.worlds import Clock, TestWorld, make_world

HERE = Path(__file__).parent
# The same examples each time, however long they take: neither chance nor a busy machine fails a test.
hypothesis.settings.register_profile(
    "anc",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("anc")
# What takes longest, so that it begins first. A folder is one group, for the fixtures that its files share.
LONGEST_FIRST = ("integration/test_rest_schema.py", "infra", "browser/test_pages.py", "browser/test_live.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a file in one worker (`--dist loadgroup`), and the longest files first."""
    groups = {item: _group(item.path.relative_to(HERE)) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    places = {group: place for place, group in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(groups[item], len(places)))


def _group(path: Path) -> str:
    return next((group for group in LONGEST_FIRST if path.is_relative_to(group)), path.as_posix())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(tmp_path: Path, clock: Clock) -> TestWorld:
    return make_world(tmp_path, clock)


@pytest.fixture
def world(platform: TestWorld) -> World:
    return platform.world
