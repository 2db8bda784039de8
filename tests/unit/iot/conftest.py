"""A running headset, stopped after the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.iot.headset import Headset


@pytest.fixture
def headset(tmp_path: Path) -> Iterator[Headset]:
    headset = Headset(tmp_path)
    yield headset
    headset.agent.stop()
