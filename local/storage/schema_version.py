"""The version of what a data folder stores: an upgrade keeps it, a downgrade is refused.

Raise `SCHEMA` when a release stores something that the one before it would misread or lose: a new field of a
record, another meaning, another table. Every store adds what its tables lack when it is opened, so that an
upgrade is: mark the folder with the new version, then open the stores. A crash in between is continued at
the next start, and the earlier release refuses the folder from the mark on.
"""

import sqlite3
from pathlib import Path

from anc import __version__
from local.data_folder import UnusableFolder

SCHEMA = 1  # 0: a folder from before version 1.0.0
LONGEST = 32  # characters of a version; a backup may be anything


def check(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of a database.

    Raises
    ------
    UnusableFolder
        When a newer release wrote it.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > SCHEMA:
        raise UnusableFolder(
            f"{path}: written by version {_release(connection, found)}, and version {__version__} would lose"
            " data in it; install that version or a newer one, or restore a backup of this one"
        )
    return int(found)


def mark(connection: sqlite3.Connection) -> None:
    """Store the current schema version and the release that introduced it to this database."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS releases (schema INTEGER PRIMARY KEY, version TEXT NOT NULL)"
    )
    connection.execute("INSERT OR IGNORE INTO releases VALUES (?, ?)", (SCHEMA, __version__))
    connection.execute(f"PRAGMA user_version = {SCHEMA:d}")


def _release(connection: sqlite3.Connection, schema: int) -> str:
    row = connection.execute("SELECT version FROM releases WHERE schema = ?", (schema,)).fetchone()
    return str(row[0])[:LONGEST] if row else "unknown"
