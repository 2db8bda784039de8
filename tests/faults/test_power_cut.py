"""A power cut loses the latest commits, and nothing else: at some points of each flow.

`python -m tests.faults` cuts after every frame of the log.
"""

import os
import sys
from pathlib import Path

import pytest

from local.storage.database import Database
from tests.faults.power_cut import FLOWS_CUT, cuts
from tests.faults.sound import computed_once

STEP = 9


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="forks, which is not safe elsewhere")
@pytest.mark.parametrize("name", FLOWS_CUT)
def test_a_flow_can_be_repeated_after_the_end_of_the_log_was_lost(name: str, tmp_path: Path) -> None:
    with computed_once():
        outcomes = list(cuts(name, tmp_path, STEP))
    assert [number for number, kept in outcomes if not kept] == []
    assert len(outcomes) >= 2


def test_a_sync_forces_the_log_of_the_database_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")))
    database = Database(tmp_path / "anc.db")
    database.connection.execute("CREATE TABLE t (a)")
    database.sync()
    assert synced == [str(tmp_path / "anc.db-wal")]


def test_a_database_without_a_log_needs_no_sync(tmp_path: Path) -> None:
    Database(tmp_path / "anc.db").sync()
