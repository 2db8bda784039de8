"""`anc.ports.Table` on SQLite."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic

import msgspec

from anc import tables
from anc.ports import Conflict
from anc.tables import R
from local.storage.database import Database


class SqliteTable(Generic[R]):
    """Records of one type in a SQLite table.

    Parameters
    ----------
    database : Database
    name : str
        Name of the SQL table; a constant, never user input.
    kind : type
        The record's class.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(
        self, database: Database, name: str, kind: type[R], clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clock = clock
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._encoder = msgspec.msgpack.Encoder()
        database.connection.executescript(f"""
            CREATE TABLE IF NOT EXISTS {name} (
                key TEXT PRIMARY KEY, grp TEXT NOT NULL, version INTEGER NOT NULL,
                expires REAL, body BLOB NOT NULL) WITHOUT ROWID;
            CREATE INDEX IF NOT EXISTS {name}_by_group ON {name} (grp, key);
        """)
        alive = "(expires IS NULL OR expires > ?)"
        self._select = f"SELECT body FROM {name} WHERE key = ? AND {alive}"  # noqa: S608
        page = f"SELECT body FROM {name} WHERE grp = ? AND key {{}} ? AND {alive} ORDER BY key {{}} LIMIT ?"  # noqa: S608
        self._page = page.format(">", "ASC")
        self._page_descending = page.format("<", "DESC")
        self._last_page = page.format(">=", "DESC")  # than the empty text: all keys
        everywhere = f"SELECT body FROM {name} WHERE key {{}} ? AND {alive} ORDER BY key {{}} LIMIT ?"  # noqa: S608
        self._feed = everywhere.format(">", "ASC")
        self._feed_descending = everywhere.format("<", "DESC")
        self._last_of_feed = everywhere.format(">=", "DESC")
        self._everything = f"SELECT body FROM {name} ORDER BY key"  # noqa: S608
        self._insert = f"""INSERT INTO {name} (key, grp, version, expires, body) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (key) DO UPDATE SET grp = excluded.grp, version = excluded.version,
                expires = excluded.expires, body = excluded.body
            WHERE {name}.expires <= ?"""  # noqa: S608
        self._update = (
            f"UPDATE {name} SET grp = ?, version = ?, expires = ?, body = ?"  # noqa: S608
            " WHERE key = ? AND version = ? AND (expires IS NULL OR expires > ?)"
        )
        self._delete = f"DELETE FROM {name} WHERE key = ?"  # noqa: S608
        self._delete_version = f"DELETE FROM {name} WHERE key = ? AND version = ?"  # noqa: S608
        self._sweep = f"DELETE FROM {name} WHERE expires <= ?"  # noqa: S608

    def get(self, key: str) -> R | None:
        """See `anc.ports.Table`."""
        row = self._database.connection.execute(self._select, (key, self._clock())).fetchone()
        return None if row is None else self._decoder.decode(row[0])

    def put(self, record: R) -> R:
        """See `anc.ports.Table`."""
        stored = record.next_version()
        body = self._encoder.encode(stored)
        fields = (stored.group, stored.version, stored.expires, body)
        if record.version == 0:
            done = self._database.connection.execute(self._insert, (stored.key, *fields, self._clock()))
        else:
            values = (*fields, stored.key, record.version, self._clock())
            done = self._database.connection.execute(self._update, values)
        if done.rowcount == 0:
            raise Conflict(record.key)
        return stored

    def delete(self, key: str, version: int | None = None) -> None:
        """See `anc.ports.Table`."""
        if version is None:
            self._database.connection.execute(self._delete, (key,))
            return
        with self._database.writing() as connection:
            if connection.execute(self._delete_version, (key, version)).rowcount == 0 and self.get(key):
                raise Conflict(key)

    def list(self, group: str, limit: int = 100, after: str = "", descending: bool = False) -> Sequence[R]:
        """See `anc.ports.Table`."""
        page = self._page
        if descending:
            page = self._page_descending if after else self._last_page
        rows = self._database.connection.execute(page, (group, after, self._clock(), limit))
        return [self._decoder.decode(body) for (body,) in rows]

    def list_all(self, limit: int = 100, after: str = "", descending: bool = False) -> Sequence[R]:
        """See `anc.tables.FeedTable`."""
        page = self._feed
        if descending:
            page = self._feed_descending if after else self._last_of_feed
        rows = self._database.connection.execute(page, (after, self._clock(), limit))
        return [self._decoder.decode(body) for (body,) in rows]

    def all(self) -> Sequence[R]:
        """Return all records of all groups."""
        return [self._decoder.decode(body) for (body,) in self._database.connection.execute(self._everything)]

    def sweep(self) -> int:
        """Delete expired records, like DynamoDB's time to live; return their number."""
        return self._database.connection.execute(self._sweep, (self._clock(),)).rowcount


def open_tables(database: Database, clock: Callable[[], float] = time.time) -> dict[str, Any]:
    """Return the tables of the platform by name."""
    return tables.open_tables(lambda spec: SqliteTable(database, spec.name, spec.record, clock))
