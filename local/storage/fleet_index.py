"""`anc.ports.FleetIndex` on SQLite."""

from collections.abc import Sequence
from itertools import groupby
from math import isfinite

import numpy as np

from anc.fleet_records import (
    PERCENTS,
    SORT_FIELDS,
    Distribution,
    FleetGroup,
    FleetPage,
    FleetQuery,
    GroupField,
    HeadsetSummary,
)
from anc.schemas.refusal import refuse
from local.storage.database import Database

FIELDS = HeadsetSummary.__struct_fields__
CONDITIONS = {
    "tag": "instr(tags, ' ' || ? || ' ')",  # " hall-3 night "
    "owner": "owner = ?",
    "model": "model = ?",
    "firmware": "firmware = ?",
    "noise": "noise = ?",
    "attenuation_below": "attenuation_db < ?",
    "refused_since": "refused_at > ?",
    "reverted_since": "reverted_at > ?",
}


class SqliteFleetIndex:
    """The summaries of headsets in one SQL table."""

    min_interval_s = 0.0

    def __init__(self, database: Database) -> None:
        self._database = database
        database.connection.executescript("""
            CREATE TABLE IF NOT EXISTS fleet_summaries (
                thing TEXT PRIMARY KEY, name TEXT, owner TEXT COLLATE NOCASE, model TEXT COLLATE NOCASE,
                online INTEGER, since REAL, firmware TEXT COLLATE NOCASE, noise TEXT COLLATE NOCASE,
                attenuation_db REAL, reverted INTEGER, reverted_at REAL, refused INTEGER, refused_at REAL,
                tags TEXT
            ) WITHOUT ROWID;
            CREATE INDEX IF NOT EXISTS fleet_by_attenuation ON fleet_summaries (attenuation_db, thing);
            CREATE INDEX IF NOT EXISTS fleet_by_refusal ON fleet_summaries (refused_at, thing);
        """)
        columns = [row[1] for row in database.connection.execute("PRAGMA table_info(fleet_summaries)")]
        for column in ("name", "tags"):
            if column not in columns:  # a table of an earlier version
                database.connection.execute(f"ALTER TABLE fleet_summaries ADD COLUMN {column} TEXT")
        merged = ", ".join(f"{name} = COALESCE(excluded.{name}, {name})" for name in FIELDS[1:])
        self._upsert = (
            f"INSERT INTO fleet_summaries ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})"  # noqa: S608
            f" ON CONFLICT (thing) DO UPDATE SET {merged}"
        )

    def update(self, summary: HeadsetSummary, removed_tags: Sequence[str] = ()) -> None:
        """See `FleetIndex.update`. A summary has all tags, so `removed_tags` is not needed."""
        self._database.connection.execute(self._upsert, _row(summary))

    def mark_all_offline(self, at: float) -> None:
        """Record that no headset is connected, which the broker knows when it starts."""
        self._database.connection.execute(
            "UPDATE fleet_summaries SET online = 0, since = ? WHERE online", (at,)
        )

    def things(self) -> set[str]:
        """Return the names of all headsets in the index."""
        return {thing for (thing,) in self._database.connection.execute("SELECT thing FROM fleet_summaries")}

    def remove(self, thing: str) -> None:
        """See `FleetIndex.remove`."""
        self._database.connection.execute("DELETE FROM fleet_summaries WHERE thing = ?", (thing,))

    def search(self, query: FleetQuery, sort: str = "", limit: int = 100, after: str = "") -> FleetPage:
        """See `FleetIndex.search`. Without `sort`, headsets are in the order of their names."""
        conditions, values = _conditions(query)
        field, descending = sort.removeprefix("-"), sort.startswith("-")
        if field and field not in SORT_FIELDS:
            refuse("bad_field", f"sort: must be one of {', '.join(SORT_FIELDS)} (got {field})")
        order = "thing"
        if field:
            conditions.append(f"{field} IS NOT NULL")
            order = f"{field} {'DESC' if descending else 'ASC'}, thing"
        if after and field:
            number, thing = _cursor(after)
            conditions.append(f"({field} {'<' if descending else '>'} ? OR ({field} = ? AND thing > ?))")
            values += [number, number, thing]
        elif after:
            conditions.append("thing > ?")
            values.append(after)
        where = " AND ".join(conditions) or "1"
        rows = self._database.connection.execute(
            f"SELECT {', '.join(FIELDS)} FROM fleet_summaries WHERE {where} ORDER BY {order} LIMIT ?",  # noqa: S608
            (*values, limit + 1),
        ).fetchall()
        page = [_summary(row) for row in rows[:limit]]
        if len(rows) <= limit:
            return FleetPage(page, "")
        last = page[-1]
        return FleetPage(page, f"{getattr(last, field)!r}/{last.thing}" if field else last.thing)

    def count(self, query: FleetQuery) -> int:
        """See `FleetIndex.count`."""
        conditions, values = _conditions(query)
        where = " AND ".join(conditions) or "1"
        sql = f"SELECT COUNT(*) FROM fleet_summaries WHERE {where}"  # noqa: S608
        return int(self._database.connection.execute(sql, values).fetchone()[0])

    def distribution(self, query: FleetQuery) -> Distribution:
        """See `FleetIndex.distribution`."""
        return _distribution([number for _, number in self._attenuations(query, "'all'")])

    def groups(self, query: FleetQuery, field: GroupField, limit: int = 8) -> Sequence[FleetGroup]:
        """See `FleetIndex.groups`."""
        known = [row for row in self._attenuations(query, field) if row[0]]
        found = []
        for _, rows in groupby(known, key=lambda row: row[0].casefold()):
            same = list(rows)
            found.append((same[0][0], [number for _, number in same]))
        found.sort(key=lambda each: (-len(each[1]), each[0]))
        return [FleetGroup(value, len(numbers), _distribution(numbers)) for value, numbers in found[:limit]]

    def _attenuations(self, query: FleetQuery, expression: str) -> Sequence[tuple[str, float | None]]:
        conditions, values = _conditions(query)
        where = " AND ".join(conditions) or "1"
        sql = f"SELECT {expression}, attenuation_db FROM fleet_summaries WHERE {where} ORDER BY 1"  # noqa: S608
        return self._database.connection.execute(sql, values).fetchall()


def _conditions(query: FleetQuery) -> tuple[list[str], list[object]]:
    conditions, values = [], []
    for name, sql in CONDITIONS.items():
        if (value := getattr(query, name)) not in ("", None):
            conditions.append(sql)
            values.append(value)
    if query.prefix:
        conditions.append(r"thing LIKE ? ESCAPE '\'")  # ignores the case of ASCII letters
        values.append(query.prefix.replace("\\", r"\\").replace("_", r"\_").replace("%", r"\%") + "%")
    if query.online is not None:
        conditions.append("online" if query.online else "online IS NOT TRUE")
    return conditions, values


def _cursor(after: str) -> tuple[float, str]:
    number, _, thing = after.partition("/")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        refuse("bad_field", "after: must be `next` of a page in this order")
    return value, thing


def _distribution(numbers: Sequence[float | None]) -> Distribution:
    measured = [number for number in numbers if number is not None]
    if not measured:
        return Distribution()
    return Distribution(*(round(float(each), 2) for each in np.percentile(measured, PERCENTS)))


def _row(summary: HeadsetSummary) -> tuple[object, ...]:
    fields = {name: getattr(summary, name) for name in FIELDS}
    if summary.tags is not None:
        fields["tags"] = f" {' '.join(summary.tags)} "
    return tuple(fields.values())


def _summary(row: Sequence[object]) -> HeadsetSummary:
    fields = dict(zip(FIELDS, row, strict=True))
    online, tags = fields["online"], fields["tags"]
    known = {
        "online": None if online is None else bool(online),
        "tags": None if tags is None else tuple(str(tags).split()),
    }
    return HeadsetSummary(**fields | known)  # type: ignore[arg-type]
