"""Tables in SQLite, used by several threads and processes and across restarts."""

import multiprocessing
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from anc.ports import Conflict
from anc.records import SocketConnection, Stream
from local.storage.database import Database
from local.storage.tables import SqliteTable
from tests.fakes import Clock
from tests.processes import PATIENCE_S


def stream(key: str, expires: float | None = None) -> Stream:
    return Stream(
        key=key,
        group="ann",
        mode="cancel",
        rate=48_000,
        channels=2,
        taps=512,
        mu=0.5,
        created=0,
        expires=expires,
    )


def count_up(path: Path, times: int) -> None:
    """Increment `blocks` repeatedly, concurrently with other writers."""
    table = SqliteTable(Database(path), "streams", Stream)
    while times:
        read = table.get("shared")
        assert read is not None
        try:
            table.put(read.replace(blocks=read.blocks + 1))
        except Conflict:
            continue
        times -= 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "anc.db"


def test_stored_data_survives_a_restart(path: Path) -> None:
    stored = SqliteTable(Database(path), "streams", Stream).put(stream("s1"))
    assert SqliteTable(Database(path), "streams", Stream).get("s1") == stored


def test_threads_that_write_the_same_record_lose_no_write(path: Path) -> None:
    table = SqliteTable(Database(path), "streams", Stream)
    first = table.put(stream("shared"))
    threads = [threading.Thread(target=count_up, args=(path, 40)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    counted = table.get("shared")
    assert counted is not None
    assert (counted.blocks, counted.version) == (120, first.version + 120)


def test_exactly_one_of_several_threads_with_the_same_version_writes(path: Path) -> None:
    table = SqliteTable(Database(path), "streams", Stream)
    table.put(stream("shared"))
    all_have_read = threading.Barrier(4)
    won: list[int] = []

    def write(number: int) -> None:
        read = table.get("shared")
        assert read is not None
        all_have_read.wait(PATIENCE_S)
        with suppress(Conflict):
            table.put(read.replace(blocks=number))
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    stored = table.get("shared")
    assert stored is not None
    assert won == [stored.blocks]


def test_processes_that_write_the_same_record_lose_no_write(path: Path) -> None:
    table = SqliteTable(Database(path), "streams", Stream)
    table.put(stream("shared"))
    other = multiprocessing.get_context("spawn").Process(target=count_up, args=(path, 40))
    other.start()
    count_up(path, 40)
    other.join(PATIENCE_S)
    counted = table.get("shared")
    assert counted is not None
    assert counted.blocks == 80


def test_a_writer_waits_for_the_transaction_of_another_one(path: Path) -> None:
    table = SqliteTable(Database(path), "streams", Stream)
    elsewhere = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    elsewhere.execute("BEGIN IMMEDIATE")
    done = threading.Event()

    def write() -> None:
        table.put(stream("s1"))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert table.get("s1") is None, "readers are not held up"
    assert not done.is_set()
    elsewhere.execute("COMMIT")
    assert done.wait(PATIENCE_S)
    writer.join(PATIENCE_S)
    assert table.get("s1") is not None


def test_a_failed_transaction_is_rolled_back(path: Path) -> None:
    database = Database(path)
    table = SqliteTable(database, "streams", Stream)

    def half_done() -> None:
        with database.writing():
            table.put(stream("s1"))
            raise KeyError

    with pytest.raises(KeyError):
        half_done()
    assert table.get("s1") is None
    table.put(stream("s1"))
    assert table.get("s1") is not None, "and the next write does not wait for it"


def test_a_sweep_deletes_expired_records_only(path: Path, clock: Clock) -> None:
    table = SqliteTable(Database(path), "streams", Stream, clock)
    table.put(stream("gone", expires=clock.now + 1))
    table.put(stream("alive", expires=clock.now + 2))
    table.put(stream("for ever"))
    clock.now += 1
    assert table.sweep() == 1
    assert table.sweep() == 0
    clock.now -= 1
    assert [found.key for found in table.list("ann")] == ["alive", "for ever"]


def test_a_record_of_an_older_release_gets_defaults_for_missing_fields(path: Path) -> None:
    class Connection1(SocketConnection, frozen=True, kw_only=True, omit_defaults=True):
        pass

    class Connection2(SocketConnection, frozen=True, kw_only=True, omit_defaults=True):
        country: str = "nowhere"

    SqliteTable(Database(path), "connections", Connection1).put(
        Connection1(key="c", group="ann", role="admin")
    )
    read = SqliteTable(Database(path), "connections", Connection2).get("c")
    assert read is not None
    assert (read.role, read.country) == ("admin", "nowhere")


def test_the_folder_is_readable_by_its_owner_alone(path: Path) -> None:
    Database(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_another_connection_keeps_the_locks_of_the_process(path: Path) -> None:
    database = Database(path)
    assert SqliteTable(database, "streams", Stream).get("s1") is None
    other = threading.Thread(target=lambda: database.connection)
    other.start()
    other.join(PATIENCE_S)
    take_for_itself = (
        "import sqlite3, sys; database = sqlite3.connect(sys.argv[1], timeout=0);"
        "print(database.execute('PRAGMA journal_mode = DELETE').fetchone())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", take_for_itself, str(path)], capture_output=True, text=True, check=False
    )
    assert "database is locked" in ended.stderr, ended.stdout
