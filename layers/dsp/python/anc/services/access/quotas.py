"""Quotas: how many sessions, sockets, API keys, headsets and recordings a user may have at the same time.

Each quota of a user has one record with everything that counts against it. It is written conditionally, so
that concurrent requests cannot exceed the quota together. Deleting an item removes it from the record. Items
that ended in another way, by expiry or a crash, are removed when the quota seems exceeded: then every item of
the record is looked up.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from anc.lifetimes import DAY_S, REMOVED_ACCOUNT_DAYS
from anc.ports import Conflict, Dependencies
from anc.records import QuotaItem, Usage
from anc.schemas.refusal import refuse
from anc.services.updates import retry_on_conflict, retry_or_refuse
from anc.settings import Settings
from anc.tables import Table

MAX_ATTEMPTS = 10
RESERVATION_S = 60.0  # for which a reserved item may not be stored yet
KEPT_S = REMOVED_ACCOUNT_DAYS * DAY_S  # longer than any counted item


def _no_bytes(record: Any) -> int | None:
    return 0


class Quota(NamedTuple):
    """A limit on items of one kind.

    Attributes
    ----------
    name : str
        Name in the keys of its records.
    things : str
        Name of the items in error messages, in the plural.
    limit : callable
        Returns the number of items allowed, from the settings.
    table : callable
        Returns the table of the items.
    remedy : str
        What the user can do when the quota is used up.
    bytes_of : callable
        Returns the bytes that a record counts for, or None if it no longer counts.
    max_bytes : callable, optional
        Returns the total of bytes allowed, from the settings.
    """

    name: str
    things: str
    limit: Callable[[Settings], int]
    table: Callable[[Dependencies], Table[Any]]
    remedy: str
    bytes_of: Callable[[Any], int | None] = _no_bytes
    max_bytes: Callable[[Settings], int] | None = None

    def excess(self, items: Mapping[str, QuotaItem], size: int, settings: Settings) -> str:
        """Return why one more item of `size` bytes exceeds the quota, or ""."""
        limit = self.limit(settings)
        if len(items) >= limit:
            return f"{self.things}: {len(items)} of {limit} in use; {self.remedy}"
        used = sum(item.bytes for item in items.values())
        if self.max_bytes and used + size > (limit := self.max_bytes(settings)):
            return (
                f"{self.things}: {used:,} of {limit:,} bytes in use, {size:,} more requested; {self.remedy}"
            )
        return ""


def reserve(quota: Quota, key: str, user: str, deps: Dependencies, size: int = 0) -> None:
    """Count an item that is about to be created.

    Parameters
    ----------
    quota : Quota
    key : str
        Key of the item's record.
    user : str
        Owner of the item.
    deps : Dependencies
    size : int
        Bytes of the item.

    Raises
    ------
    Refused
        `too_many` if the quota is used up; `in_flight` if its record kept changing.
    """

    def update() -> None:
        usage = _usage(quota, user, deps)
        items = usage.items
        if quota.excess(items, size, deps.settings):
            items = _existing(quota, items, deps)
        if excess := quota.excess(items, size, deps.settings):
            deps.count(f"quota_{quota.name}_refused")
            refuse("too_many", excess)
        now = deps.clock()
        deps.usages.put(usage.replace(items={**items, key: QuotaItem(size, now)}, expires=now + KEPT_S))

    busy = f"{quota.things}: several are being created at the same time; try again"
    retry_or_refuse(update, busy, MAX_ATTEMPTS)


def release(quota: Quota, key: str, user: str, deps: Dependencies) -> None:
    """Stop counting an item. Releasing an item that is not counted is not an error."""

    def update() -> None:
        usage = deps.usages.get(_key(quota, user))
        if usage and key in usage.items:
            others = {name: item for name, item in usage.items.items() if name != key}
            deps.usages.put(usage.replace(items=others))

    # After a failure, the item is found to be absent when the quota seems exceeded.
    with deps.best_effort("quota_releases_failed", "releasing a quota"), suppress(Conflict):
        retry_on_conflict(update, MAX_ATTEMPTS)


def _key(quota: Quota, user: str) -> str:
    return f"{quota.name}#{user}"


def _usage(quota: Quota, user: str, deps: Dependencies) -> Usage:
    """Return the usage of a user; without a record, count the items that exist."""
    key = _key(quota, user)
    known = deps.usages.get(key)
    if known:
        return known
    records = quota.table(deps).list(user, limit=quota.limit(deps.settings))
    sizes = ((record.key, quota.bytes_of(record)) for record in records)
    return Usage(key=key, items={name: QuotaItem(size, 0.0) for name, size in sizes if size is not None})


def _existing(quota: Quota, items: Mapping[str, QuotaItem], deps: Dependencies) -> dict[str, QuotaItem]:
    """Return the items that still exist, or were reserved a short time ago."""
    table, existing = quota.table(deps), {}
    for key, item in items.items():
        record = table.get(key)
        if record is None:
            if item.at > deps.clock() - RESERVATION_S:
                existing[key] = item
        elif (size := quota.bytes_of(record)) is not None:
            existing[key] = QuotaItem(size, item.at)
    return existing
