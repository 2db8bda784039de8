"""An upgrade keeps the data of every earlier version, and a downgrade is refused."""

import base64
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anc import __version__
from anc.services.access.identity import Caller
from anc.services.headsets import rollout_steps, rollouts
from anc_client import Client
from local.process import free_port
from local.storage.database import Database
from local.storage.schema_version import SCHEMA
from local.storage.tables import open_tables
from tests.fakes import Clock, make_dependencies
from tests.processes import ANC, Platform
from tests.stored_folder import (
    ANSWERS,
    DATABASE,
    FILES,
    FOLDERS,
    OWNER,
    RATE,
    THING,
    answers,
    restore,
    token,
)

STORED = sorted(FOLDERS.glob("data-folder-*"))
NEWER = "99.1.0"


@pytest.fixture(scope="module", params=STORED, ids=lambda stored: stored.name)
def stored(request: pytest.FixtureRequest) -> Path:
    """Return a folder as an earlier version stored it."""
    folder: Path = request.param
    return folder


@pytest.fixture(scope="module")
def upgraded(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Start this version on the folder."""
    folder = tmp_path_factory.mktemp("upgrade")
    restore(stored, folder / "data")
    platform = Platform(folder)
    yield platform
    platform.kill()


def contains(found: Any, expected: Any) -> bool:
    """Return whether an answer has everything that was there before; it may have further fields."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and contains(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(contains, found, expected))
    return bool(found == expected)


def test_a_folder_of_this_version_is_stored() -> None:
    assert FOLDERS / f"data-folder-{SCHEMA}" in STORED, "python -m tests.stored_folder"


def test_everything_that_an_earlier_version_stored_is_answered(upgraded: Platform, stored: Path) -> None:
    expected = json.loads((stored / ANSWERS).read_text())
    found = answers(upgraded)
    for path, before in expected.items():
        assert contains(found[path], before), f"{path}: {found[path]}"


def test_the_report_of_a_recording_is_kept(upgraded: Platform, stored: Path) -> None:
    (report,) = (stored / FILES).rglob("report.json")
    with Client(f"http://127.0.0.1:{upgraded.port}", token(upgraded)) as client:
        (job,) = client.jobs()
        assert report.parent.name == job.job
    assert (upgraded.data / report.relative_to(stored / FILES)).read_bytes() == report.read_bytes()


def test_a_live_session_continues_with_its_next_block(upgraded: Platform, stored: Path) -> None:
    (session,) = json.loads((stored / ANSWERS).read_text())["/api/sessions"]["sessions"]
    upgraded.tokens[OWNER] = token(upgraded)
    with upgraded.connect(OWNER) as socket:
        pcm = base64.b64encode(bytes(4 * RATE // 10)).decode()
        block = {"session": session["session"], "seq": session["next_seq"], "pcm": pcm}
        answer = socket.ask(action="audio", **block)
    assert (answer["type"], answer["seq"]) == ("audio", session["next_seq"])


def test_a_rollout_that_was_under_way_goes_on(stored: Path, tmp_path: Path) -> None:
    restore(stored, tmp_path / "data")
    clock = Clock()
    here = make_dependencies(tmp_path / "data", clock)
    under_way = [each for each in rollouts.list_all(10, "", here.deps) if each.state == "paused"]
    for rollout in under_way:
        clock.now = rollout.changed + 60.0
        rollouts.change(rollout.key, "resume", Caller(OWNER, "admin"), here.deps)
        assert here.jobs.request(THING, "start-next", b"{}")
        assert here.jobs.request(THING, f"{rollout.key}-00000/update", b'{"status": "SUCCEEDED"}')
        rollout_steps.take(rollout.key, here.deps)
        done, control = rollouts.find(rollout.key, here.deps), here.deps.controls.get(THING)
        assert (done.state, done.counts) == ("done", {"succeeded": 1})
        assert control is not None
        assert control.config.telemetry_interval_s == 600.0
    assert len(under_way) == (stored.name != "data-folder-1-first")


def test_every_record_can_be_read_and_every_table_has_one(stored: Path, tmp_path: Path) -> None:
    restore(stored, tmp_path / "data")
    tables = open_tables(Database(tmp_path / "data" / DATABASE))
    empty = {name for name, table in tables.items() if not table.all()}
    if stored.name == f"data-folder-{SCHEMA}":
        assert empty == {"connections", "watches"}, "of open sockets, which end with the platform"


def test_the_history_of_the_fleet_is_kept(stored: Path, tmp_path: Path) -> None:
    restore(stored, tmp_path / "data")
    days = open_tables(Database(tmp_path / "data" / DATABASE))["fleet_days"].all()
    if stored.name == f"data-folder-{SCHEMA}":
        first, *_ = days
        (group,) = first.groups["model"]
        assert (first.headsets, first.attenuation.median_db) == (1, 12.5)
        assert (group.value, group.headsets, group.attenuation.p90_db) == ("mk1", 1, 12.5)


def test_the_folder_is_marked_with_the_version_that_it_needs(upgraded: Platform) -> None:
    with closing(sqlite3.connect(upgraded.data / DATABASE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        releases = connection.execute("SELECT version FROM releases WHERE schema = ?", (SCHEMA,)).fetchall()
    assert len(releases) == 1


def test_a_downgrade_is_refused_with_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    restore(STORED[-1], data)
    with closing(sqlite3.connect(data / DATABASE)) as connection:
        connection.execute("INSERT INTO releases VALUES (?, ?)", (SCHEMA + 1, NEWER))
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
        connection.commit()
    before = (data / DATABASE).read_bytes()
    command = [ANC, "up", "--port", str(free_port()), "--data", str(data)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == (
        f"anc: {data / DATABASE}: written by version {NEWER}, and version {__version__} would lose data"
        " in it; install that version or a newer one, or restore a backup of this one\n"
    )
    assert (data / DATABASE).read_bytes() == before
