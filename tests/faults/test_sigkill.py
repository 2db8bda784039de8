"""A process that is killed between any two writes loses and repeats nothing: every fifth write, of each flow.

`python -m tests.faults` kills at every write.
"""

import sys
from pathlib import Path

import pytest

from tests.faults.sigkill import CHECKS, kills
from tests.faults.sound import computed_once

pytestmark = pytest.mark.thorough

STEP = 5


@pytest.mark.skipif(sys.platform != "linux", reason="forks, which is not safe elsewhere")
@pytest.mark.parametrize("name", CHECKS)
def test_a_flow_continues_after_a_kill_between_two_writes(name: str, tmp_path: Path) -> None:
    with computed_once():
        outcomes = list(kills(name, tmp_path, STEP))
    assert [number for number, kept in outcomes if not kept] == []
    assert len(outcomes) >= 2
