"""The one SQLite file of a data folder, in WAL mode: what was committed survives a kill at any moment."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from local.data_folder import UnusableFolder

BUSY_TIMEOUT_S = 60.0  # of a process that holds the lock and is not let run by a busy machine


class Database:
    """A SQLite file with one connection per thread.

    Parameters
    ----------
    path : Path
        The file; it and its folder are made if need be, readable by the owner alone.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._threads = threading.local()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode. Raises UnusableFolder if the file is no database."""
        if not hasattr(self._threads, "connection"):
            # SQLite makes its other files with the permissions of this one. Only a new file is opened here:
            # closing one that SQLite has open would drop the locks that this process holds on it.
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.DatabaseError as fault:
                connection.close()
                raise UnusableFolder(f"{self.path}: {fault}; restore it from a backup") from fault
            connection.execute("PRAGMA synchronous = NORMAL")
            self._threads.connection = connection
        return self._threads.connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction that holds the write lock from its first statement on."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
