"""Cut the power: the end of SQLite's log is lost, and the headsets send again what they had sent.

A commit is not forced to the disk at once, so that a power cut loses the latest ones (`Database.sync`). The
log is cut after each frame in turn, and within it. What remains must be the state of an earlier moment: the
file is intact, and repeating the flow keeps its promise.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.faults.flows import FLOWS
from tests.faults.platform import FaultyPlatform
from tests.faults.sigkill import CHECKS, NAME, in_child

FLOWS_CUT = ("snapshot to shadow", "emergency in a snapshot", "telemetry", "presence")
LOG_HEADER, FRAME_HEADER = 32, 24  # bytes


def cuts(name: str, folder: Path, step: int = 1) -> Iterator[tuple[int, bool]]:
    """Cut the log of a flow after each `step`-th frame; yield its number, and whether the promise is kept."""
    template = folder / "template"
    template.mkdir(parents=True)
    assert in_child(lambda: _prepare(name, template)) == 0
    with closing(sqlite3.connect(template / "anc.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("PRAGMA page_size").fetchone()
    assert in_child(lambda: _run(name, template)) == 0
    log = (template / "anc.db-wal").read_bytes()
    frame = FRAME_HEADER + page
    for number in range(0, (len(log) - LOG_HEADER) // frame, step):
        data = folder / f"data-{number}"
        shutil.copytree(template, data)
        (data / "anc.db-shm").unlink(missing_ok=True)
        torn = frame // 2 if number % 2 else 0
        (data / "anc.db-wal").write_bytes(log[: LOG_HEADER + number * frame + torn])
        yield number, in_child(lambda data=data: _repeat(name, data)) == 0  # type: ignore[misc]
        shutil.rmtree(data)


def _prepare(name: str, folder: Path) -> None:
    FLOWS[name].prepare(FaultyPlatform(folder), NAME)


def _run(name: str, folder: Path) -> None:
    here = FaultyPlatform(folder)
    here._database.connection.execute("PRAGMA wal_autocheckpoint = 0")
    FLOWS[name].run(here, NAME)
    CHECKS[name](here, NAME)


def _repeat(name: str, folder: Path) -> None:
    here = FaultyPlatform(folder)
    assert here._database.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for queue in here.queues.values():
        queue.release()
    FLOWS[name].run(here, NAME)
    here.clock.now += 120.0  # past the hold, wherever the clock was before the cut
    here.run()
    CHECKS[name](here, NAME)
    assert here.dead_letters() == []
