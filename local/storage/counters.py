"""`anc.ports.Counters` in memory, flushed to SQLite periodically.

Beside the totals, the durations of each minute are counted by bucket. After two days the minutes of an hour
are added up, which takes a fraction of their rows.
"""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from aws_lambda_powertools import Logger

from anc.ports import OperationDurations
from anc.services.duration_history import (
    HOUR_S,
    KEPT_S,
    MINUTE_S,
    MINUTES_KEPT_S,
    QUANTILES,
    bucket_of,
    quantile_s,
)
from anc.services.platform_metrics import PROCESSING, histogram_increments
from local.storage.database import Database

FLUSH_S = 1.0
logger = Logger(service="counters")


class SqliteCounters:
    """Totals since the data folder was created.

    An addition updates a dictionary; the file is written at most once a second, and at `flush`. A kill loses
    only the additions since the last flush.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._durations: Counter[tuple[int, str, int]] = Counter()  # by minute, operation and bucket
        self._tidied_hour = 0
        self._lock = threading.Lock()
        self._added: Counter[str] = Counter()
        self._flushed = time.monotonic()
        database.connection.execute(
            "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, total REAL NOT NULL) WITHOUT ROWID"
        )
        database.connection.execute(
            "CREATE TABLE IF NOT EXISTS durations"
            " (at INTEGER, name TEXT, bucket INTEGER, number INTEGER NOT NULL,"
            " PRIMARY KEY (at, name, bucket)) WITHOUT ROWID"
        )

    def add(self, name: str, amount: float = 1) -> None:
        """See `anc.ports.Counters`."""
        self._add({name: amount})

    def time(self, name: str, seconds: float) -> None:
        """See `anc.ports.Counters`."""
        if name in PROCESSING:
            minute = int(self._clock()) // MINUTE_S * MINUTE_S
            with self._lock:
                self._durations[minute, name, bucket_of(seconds)] += 1
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

    def durations(self, since: float, until: float, step_s: float) -> Sequence[OperationDurations]:
        """See `anc.ports.Counters`. Percentiles are within 2 %, and always of the present."""
        self._write()
        rows = self._database.connection.execute(
            "SELECT CAST((at - :since) / :step AS INTEGER), name, bucket, SUM(number) FROM durations"
            " WHERE at >= :since AND at < :until GROUP BY 1, 2, 3 ORDER BY 1, 2",
            {"since": since, "until": until, "step": step_s},
        )
        found = []
        for (interval, name), group in groupby(rows, lambda row: row[:2]):
            counts = {bucket: number for _, _, bucket, number in group}
            quantiles = (quantile_s(counts, q) for q in QUANTILES)
            found.append(
                OperationDurations(since + interval * step_s, name, sum(counts.values()), *quantiles)
            )
        return found

    def flush(self) -> None:
        """Write the additions since the last flush; keep them for the next one if that fails."""
        try:
            self._write()
        except sqlite3.Error:  # locked for too long, or the disk is full
            logger.exception("the totals cannot be written")

    def _write(self) -> None:
        with self._lock:
            added, self._added = self._added, Counter()
            durations, self._durations = self._durations, Counter()
            self._flushed = time.monotonic()
        if not added and not durations:
            return
        try:
            with self._database.writing() as connection:
                connection.executemany(
                    "INSERT INTO counters VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET total = total + excluded.total",
                    list(added.items()),
                )
                connection.executemany(
                    "INSERT INTO durations VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (at, name, bucket) DO UPDATE SET number = number + excluded.number",
                    [(*key, number) for key, number in durations.items()],
                )
                self._tidy(connection)
        except sqlite3.Error:
            with self._lock:
                self._added.update(added)
                self._durations.update(durations)
            raise

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Once an hour, add up the minutes of hours that are older than two days, and delete old hours."""
        hour = int(self._clock()) // HOUR_S * HOUR_S
        if hour == self._tidied_hour:
            return
        self._tidied_hour = hour
        connection.execute("DELETE FROM durations WHERE at < ?", (hour - KEPT_S,))
        old = {"hour": HOUR_S, "before": hour - MINUTES_KEPT_S}
        connection.execute(
            "INSERT INTO durations SELECT at / :hour * :hour, name, bucket, sum(number) FROM durations"
            " WHERE at % :hour != 0 AND at < :before GROUP BY 1, 2, 3"
            " ON CONFLICT (at, name, bucket) DO UPDATE SET number = number + excluded.number",
            old,
        )
        connection.execute("DELETE FROM durations WHERE at % :hour != 0 AND at < :before", old)
