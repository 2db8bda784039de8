"""`anc fleet` with a small fleet."""

import json
import subprocess
from pathlib import Path

from tests.processes import ANC, PATIENCE_S


def test_a_small_fleet_loses_no_snapshot_and_no_filter(tmp_path: Path) -> None:
    command = [ANC, "fleet", "--headsets", "5", "--minutes", "0.05", "--every", "1", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    snapshots = result["snapshots"]
    assert snapshots["sent"] + snapshots["unsent"] == 15, "each of five speaks three times in three seconds"
    assert (snapshots["lost"], snapshots["filters_missed"]) == (0, 0)
    assert snapshots["processed"] == snapshots["sent"], snapshots["refused"]
    answered = result["snapshot_to_shadow_ms"]
    assert answered["number"] == snapshots["filters_sent"] >= 5, "the first snapshot always gets a filter"
    assert 0 < answered["p50"] <= answered["p99"] <= answered["max"]
    assert result["refused_by_headsets"] == []
