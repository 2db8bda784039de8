"""Optimistic locking: read a record, change it, write it, and start again when another writer came first."""

from collections.abc import Callable
from typing import TypeVar

from anc.ports import Conflict
from anc.schemas.refusal import Refused

MAX_ATTEMPTS = 3

T = TypeVar("T")


def retry_on_conflict(update: Callable[[], T], attempts: int = MAX_ATTEMPTS) -> T:
    """Return what `update()` returns; call it again after a Conflict.

    Parameters
    ----------
    update : callable
        Reads the record, changes it and writes it. It reads anew on every call, and must be safe to repeat.
    attempts : int
        Calls in all.

    Raises
    ------
    Conflict
        When the last call raised it.
    """
    for _ in range(attempts - 1):
        try:
            return update()
        except Conflict:
            continue
    return update()


def retry_or_refuse(update: Callable[[], T], busy: str, attempts: int = MAX_ATTEMPTS) -> T:
    """Return what `update()` returns, as `retry_on_conflict`. Raises Refused: `in_flight`, saying `busy`."""
    try:
        return retry_on_conflict(update, attempts)
    except Conflict as conflict:
        raise Refused("in_flight", busy) from conflict
