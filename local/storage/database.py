"""The SQLite file of a data folder, in WAL mode: committed data survives a kill at any time.

A power cut loses at most the commits since the last `Database.sync`.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anc.ports import StorageUnavailable
from local.data_folder import UnusableFolder
from local.storage import schema_version
from local.storage.faults import Connection

BUSY_TIMEOUT_S = 60.0  # generous, for a lock holder that is not scheduled on a busy machine
MAX_LOG_PAGES = 8_000  # 32 MB, after which `Database.checkpoint` lets the log begin again
RESTART_TIMEOUT_S = 0.05  # for readers of the log, such as a backup; no commit is possible meanwhile
# Without `Database.checkpoint`, in other commands, a commit moves the log into the file at this length.
AUTOCHECKPOINT_PAGES = 2 * MAX_LOG_PAGES


class Database:
    """A SQLite file with one connection per thread.

    Parameters
    ----------
    path : Path
        The file; created with its folder if missing, readable by the owner only.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._threads = threading.local()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode.

        Raises
        ------
        UnusableFolder
            When the file is damaged, or a newer release wrote it.
        StorageUnavailable
            When the disk is full or read-only; so do its statements.
        """
        if not hasattr(self._threads, "connection"):
            # SQLite creates its other files with the permissions of this one. An existing file is not opened
            # here, since closing it would release the locks that this process holds on it.
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, factory=Connection
            )
            try:
                schema_version.check(connection, self.path)
                connection.execute("PRAGMA journal_mode = WAL")
            except StorageUnavailable:
                connection.close()
                raise
            except sqlite3.DatabaseError as fault:
                connection.close()
                raise UnusableFolder(f"{self.path}: {fault}; restore it from a backup") from fault
            except UnusableFolder:
                connection.close()
                raise
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT_PAGES}")
            self._threads.connection = connection
        return self._threads.connection

    def sync(self) -> None:
        """Force all commits to the disk. A commit itself does not, since that takes milliseconds.

        A power cut between two calls loses the commits after the first; the file stays intact.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        with suppress(FileNotFoundError), log.open("rb") as file:  # SQLite holds its locks on other files
            os.fsync(file.fileno())

    def checkpoint(self) -> None:
        """Move commits from the log into the file, beside readers and writers; let a long log begin again.

        SQLite would do so within a commit, which would then take as long as the disk.
        """
        connection = self.connection
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages <= MAX_LOG_PAGES:
            return
        _set_timeout(connection, RESTART_TIMEOUT_S)
        try:
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
        finally:
            _set_timeout(connection, BUSY_TIMEOUT_S)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Return a context with a transaction that holds the write lock from its start."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back some transactions when the disk is full
                connection.execute("ROLLBACK")
            raise


def _set_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")
