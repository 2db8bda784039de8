"""Quotas: how much of each kind one person may have at the same time.

Each quota of a person has one record of what counts against it. It is written conditionally, so that
concurrent requests never exceed it together. Deleting a thing takes it out of the record. What ended
otherwise, by expiry or by a crash, is found when the quota seems exceeded: everything in the record is then
looked up.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from anc.lifetimes import DAY_S, REMOVED_ACCOUNT_DAYS
from anc.ports import Conflict, Dependencies
from anc.records import QuotaItem, Usage
from anc.schemas.refusal import refuse
from anc.settings import Settings
from anc.tables import Table

ATTEMPTS = 10
NEW_S = 60.0  # for so long a reserved thing may not exist yet
KEPT_S = REMOVED_ACCOUNT_DAYS * DAY_S  # longer than anything that is counted


def _nothing(record: Any) -> int | None:
    return 0


class Quota(NamedTuple):
    """A limit on things of one kind.

    Attributes
    ----------
    name : str
        Of its records.
    things : str
        What they are called in refusals.
    most : callable
        Returns how many a person may have, by the settings.
    table : callable
        Returns the table they are in.
    remedy : str
        What the person can do.
    bytes_of : callable
        Returns the bytes that a record counts for, or None when it counts no more.
    most_bytes : callable, optional
        Returns how many bytes all of them may have.
    """

    name: str
    things: str
    most: Callable[[Settings], int]
    table: Callable[[Dependencies], Table[Any]]
    remedy: str
    bytes_of: Callable[[Any], int | None] = _nothing
    most_bytes: Callable[[Settings], int] | None = None

    def excess(self, held: Mapping[str, QuotaItem], size: int, settings: Settings) -> str:
        """Return why one more of a size is too many, or ""."""
        most = self.most(settings)
        if len(held) >= most:
            return f"{self.things}: {len(held)} of {most} in use; {self.remedy}"
        used = sum(each.bytes for each in held.values())
        if self.most_bytes and used + size > (most := self.most_bytes(settings)):
            return f"{self.things}: {used:,} of {most:,} bytes in use, {size:,} more asked for; {self.remedy}"
        return ""


def reserve(quota: Quota, key: str, user: str, deps: Dependencies, size: int = 0) -> None:
    """Count a thing that is about to be made.

    Parameters
    ----------
    quota : Quota
    key : str
        Of the thing's record.
    user : str
        Whose it is.
    world : World
    size : int
        Bytes that it counts for.

    Raises
    ------
    Refused
        `too_many`, with the quota, its use and what to do; `in_flight` when it kept changing meanwhile.
    """
    for _ in range(ATTEMPTS):
        usage = _usage(quota, user, deps)
        held = usage.items
        if quota.excess(held, size, deps.settings):
            held = _still_held(quota, held, deps)
        if excess := quota.excess(held, size, deps.settings):
            deps.count(f"quota_{quota.name}_refused")
            refuse("too_many", excess)
        now = deps.clock()
        try:
            deps.usages.put(usage.replace(items={**held, key: QuotaItem(size, now)}, expires=now + KEPT_S))
        except Conflict:
            continue
        return
    refuse("in_flight", f"{quota.things}: others of yours are being made; try again")


def release(quota: Quota, key: str, user: str, deps: Dependencies) -> None:
    """Count a thing no more; what was not counted is fine."""
    for _ in range(ATTEMPTS):
        usage = deps.usages.get(_name(quota, user))
        if usage is None or key not in usage.items:
            return
        try:
            deps.usages.put(
                usage.replace(items={name: each for name, each in usage.items.items() if name != key})
            )
        except Conflict:
            continue
        return


def _name(quota: Quota, user: str) -> str:
    return f"{quota.name}#{user}"


def _usage(quota: Quota, user: str, deps: Dependencies) -> Usage:
    """Return the record of a person's use; the first time it counts what there is already."""
    name = _name(quota, user)
    known = deps.usages.get(name)
    if known:
        return known
    there = quota.table(deps).list(user, limit=quota.most(deps.settings))
    counted = ((each.key, quota.bytes_of(each)) for each in there)
    return Usage(key=name, items={key: QuotaItem(size, 0.0) for key, size in counted if size is not None})


def _still_held(quota: Quota, held: Mapping[str, QuotaItem], deps: Dependencies) -> dict[str, QuotaItem]:
    table, still = quota.table(deps), {}
    for key, each in held.items():
        record = table.get(key)
        if record is None:
            if each.at > deps.clock() - NEW_S:
                still[key] = each
        elif (size := quota.bytes_of(record)) is not None:
            still[key] = QuotaItem(size, each.at)
    return still
