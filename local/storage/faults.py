"""Faults of the disk: full, read-only or broken. Nothing was stored, and the request may be repeated."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anc.ports import StorageUnavailable

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
SQLITE_DISK_ERRORS = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
)
PRIMARY = 0xFF  # of an extended result code


class DatabaseUnavailable(StorageUnavailable, sqlite3.OperationalError):
    """Raised by a statement that SQLite could not execute because of the disk."""


class Connection(sqlite3.Connection):
    """A connection whose statements raise StorageUnavailable if the disk does not take them."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """See sqlite3.Connection."""
        try:
            return super().execute(*arguments)
        except sqlite3.OperationalError as fault:
            raise _translated(fault) from fault

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        """See sqlite3.Connection."""
        try:
            return super().executemany(*arguments)
        except sqlite3.OperationalError as fault:
            raise _translated(fault) from fault


def _translated(fault: sqlite3.OperationalError) -> sqlite3.OperationalError:
    if fault.sqlite_errorcode & PRIMARY in SQLITE_DISK_ERRORS:
        return DatabaseUnavailable(str(fault))
    return fault


@contextmanager
def disk_errors() -> Iterator[None]:
    """Return a context that raises StorageUnavailable for errors of the disk."""
    try:
        yield
    except OSError as fault:
        if fault.errno in DISK_ERRORS:
            raise StorageUnavailable(str(fault)) from fault
        raise
