"""The log of the SQLite file: commits do not wait for the disk, and the log does not grow without bound."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.storage import database as module
from local.storage.database import BUSY_TIMEOUT_S, Database

MB = 1_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "anc.db")
    database.connection.execute("CREATE TABLE t (a)")
    yield database
    database.connection.close()


def write(database: Database, megabytes: int) -> None:
    for _ in range(megabytes * 10):
        database.connection.execute("INSERT INTO t VALUES (zeroblob(100000))")


def log_bytes(database: Database) -> int:
    return database.path.with_name("anc.db-wal").stat().st_size


def test_no_commit_moves_the_log_into_the_file(database: Database) -> None:
    write(database, 10)  # SQLite's default is 4 MB
    assert log_bytes(database) > 10 * MB
    assert database.path.stat().st_size < MB
    database.checkpoint()
    assert database.path.stat().st_size > 10 * MB


def test_a_long_log_begins_again_at_a_checkpoint(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LOG_PAGES", 1000)
    for _ in range(4):
        write(database, 5)
        database.checkpoint()
    assert log_bytes(database) < 6 * MB
    assert database.connection.execute("SELECT count(*) FROM t").fetchone() == (200,)


def test_a_reader_of_the_log_delays_a_checkpoint_only_shortly(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOG_PAGES", 0)
    reader = Database(database.path).connection
    write(database, 1)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (10,)
    write(database, 1)
    database.checkpoint()
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (10,)
    (timeout_ms,) = database.connection.execute("PRAGMA busy_timeout").fetchone()
    assert timeout_ms == 1000 * BUSY_TIMEOUT_S
    reader.execute("COMMIT")
    reader.close()
    write(database, 1)


def test_a_database_that_nobody_checkpoints_moves_its_log_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AUTOCHECKPOINT_PAGES", 500)
    database = Database(tmp_path / "anc.db")
    database.connection.execute("CREATE TABLE t (a)")
    write(database, 10)
    assert database.path.stat().st_size > 5 * MB
    database.connection.close()
