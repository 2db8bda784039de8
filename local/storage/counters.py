"""`anc.ports.Counters` in memory, flushed to SQLite periodically."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Mapping

from aws_lambda_powertools import Logger

from anc.services.platform_metrics import histogram_increments
from local.storage.database import Database

FLUSH_S = 1.0
logger = Logger(service="counters")


class SqliteCounters:
    """Totals since the data folder was created.

    An addition updates a dictionary; the file is written at most once a second, and at `flush`. A kill loses
    only the additions since the last flush.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._added: Counter[str] = Counter()
        self._flushed = time.monotonic()
        database.connection.execute(
            "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, total REAL NOT NULL) WITHOUT ROWID"
        )

    def add(self, name: str, amount: float = 1) -> None:
        """See `anc.ports.Counters`."""
        self._add({name: amount})

    def time(self, name: str, seconds: float) -> None:
        """See `anc.ports.Counters`."""
        self._add(dict(histogram_increments(name, seconds)))

    def _add(self, amounts: Mapping[str, float]) -> None:
        with self._lock:
            self._added.update(amounts)
            due = time.monotonic() - self._flushed >= FLUSH_S
        if due:
            self.flush()

    def read(self) -> Mapping[str, float]:
        """See `anc.ports.Counters`."""
        self._write()
        return dict(self._database.connection.execute("SELECT name, total FROM counters ORDER BY name"))

    def flush(self) -> None:
        """Write the additions since the last flush; keep them for the next one if that fails."""
        try:
            self._write()
        except sqlite3.Error:  # locked for too long, or the disk is full
            logger.exception("the totals cannot be written")

    def _write(self) -> None:
        with self._lock:
            added, self._added = self._added, Counter()
            self._flushed = time.monotonic()
        if not added:
            return
        try:
            with self._database.writing() as connection:
                connection.executemany(
                    "INSERT INTO counters VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET total = total + excluded.total",
                    list(added.items()),
                )
        except sqlite3.Error:
            with self._lock:
                self._added.update(added)
            raise
