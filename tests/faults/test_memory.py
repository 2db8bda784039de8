"""A process that runs out of memory loses and repeats nothing."""

import sys
from pathlib import Path

import pytest

from tests.faults.memory import FLOWS_STARVED, shortages

pytestmark = pytest.mark.thorough


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
@pytest.mark.parametrize("name", FLOWS_STARVED)
def test_a_flow_continues_after_its_process_ran_out_of_memory(name: str, tmp_path: Path) -> None:
    outcomes = list(shortages(name, tmp_path))
    assert [spare for spare, _, kept in outcomes if not kept] == []
    enough = [each for _, each, _ in outcomes]
    assert enough[-1], "with the most memory every message is handled"
    assert not enough[0], "with the least memory the process fails"
