"""The whole fleet: keep its index up to date, search it, and summarize it."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from anc.fleet_records import (
    GROUP_FIELDS,
    Distribution,
    FleetGroup,
    FleetPage,
    FleetQuery,
    HeadsetSummary,
)
from anc.headset_records import Device, Status
from anc.ports import Dependencies
from anc.schemas.refusal import refuse
from anc.schemas.telemetry import TelemetryReport
from anc.services.access.identity import Caller

HOUR_S = 3600.0
LATELY_S = 24 * HOUR_S
WORST = 10
MAX_EXPORTED = 10_000
PAGE = 100
MAX_ATTEMPTS = 20
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # of spreadsheets, also at full width
COLUMNS = HeadsetSummary.__struct_fields__
_SEARCHABLE = re.compile(r"[A-Za-z0-9._+-]{1,64}")


class Overview(NamedTuple):
    """Totals of a fleet, its attenuation by model, firmware and noise, and its worst headsets."""

    headsets: int
    online: int
    refused: int
    reverted: int
    attenuation: Distribution
    groups: dict[str, Sequence[FleetGroup]]
    worst: Sequence[HeadsetSummary]


def record_registration(device: Device, deps: Dependencies) -> None:
    """Add a registered headset to the index with its tags, or update its display name."""
    if device.has_thing:
        with deps.best_effort("", "update of the fleet index"):
            _follow_tags(device, HeadsetSummary(thing=device.key, tags=device.tags or None), (), deps)


def _follow_tags(device: Device, summary: HeadsetSummary, removed: Sequence[str], deps: Dependencies) -> None:
    """Update the index until it has the tags of the stored record, or the headset is removed.

    Of two changes at once, the later update of the index may have the earlier tags. Each writer looks again
    after its own, so that the last one leaves the latest.
    """
    gone = {*removed}
    for _ in range(MAX_ATTEMPTS):
        deps.fleet_index.update(_complete(summary, device), sorted(gone))
        latest = deps.devices.get(device.key)
        if latest is None or latest.removed:
            deps.fleet_index.remove(device.key)  # the update may have come after the removal
            return
        if (latest.tags, latest.name) == (device.tags, device.name):
            return
        gone = (gone | {*device.tags}) - {*latest.tags}
        device, summary = latest, HeadsetSummary(thing=device.key, tags=latest.tags)


def record_tags(device: Device, removed: Sequence[str], deps: Dependencies) -> None:
    """Update the tags of a headset in the index. A failure is raised, because rollouts rely on tags."""
    if device.has_thing:
        _follow_tags(device, HeadsetSummary(thing=device.key, tags=device.tags), removed, deps)


def record_status(device: Device, status: Status, deps: Dependencies) -> None:
    """Update the connection and the refusals of a headset in the index."""
    refusal = status.refusal
    summary = HeadsetSummary(
        thing=device.key,
        online=status.online,
        since=status.since or None,
        refused=status.refused or None,
        refused_at=refusal.at if refusal else None,
    )
    _update(summary, device, deps)


def record_telemetry(
    device: Device,
    known: tuple[float, TelemetryReport] | None,
    stored: tuple[float, TelemetryReport],
    reverted: int,
    deps: Dependencies,
) -> None:
    """Update the summary of a headset from its latest telemetry report, if an update is due.

    It is due when an interval of the index begins, the firmware changed, or filters were reverted.

    Parameters
    ----------
    device : Device
    known, stored : tuple
        Time and content of the report before, and of the latest.
    reverted : int
        Number of filters that the headset reverted in between.
    deps : Dependencies
    """
    at, report = stored
    interval_s = deps.fleet_index.min_interval_s
    if known and interval_s and not reverted and report.firmware == known[1].firmware:
        is_due = int(at / interval_s) != int(known[0] / interval_s)
        if not is_due:
            return
    control = deps.controls.get(device.key)
    firmware = report.firmware or ""
    summary = HeadsetSummary(
        thing=device.key,
        firmware=firmware if _SEARCHABLE.fullmatch(firmware) else None,
        noise=(control.noise or None) if control else None,
        attenuation_db=report.attenuation_db,
        reverted=report.reverted,
        reverted_at=at if reverted else None,
    )
    _update(summary, device, deps)


def _update(summary: HeadsetSummary, device: Device, deps: Dependencies) -> None:
    if not device.has_thing:
        return
    with deps.best_effort("", "update of the fleet index"):
        deps.fleet_index.update(_complete(summary, device))


def _complete(summary: HeadsetSummary, device: Device) -> HeadsetSummary:
    # Name, owner and model are part of every update, so that the next one repairs a failed one.
    registered = {"name": device.name, "owner": device.group, "model": device.model}
    return msgspec.structs.replace(summary, **registered)


def since(hours: float | None, deps: Dependencies) -> float | None:
    """Return the time so many hours ago, in seconds since the epoch; None for None.

    In whole minutes, so that the overview of the same question is read from the cache.
    """
    return None if hours is None else (deps.clock() - hours * HOUR_S) // 60 * 60


def visible(query: FleetQuery, caller: Caller) -> FleetQuery:
    """Restrict a query to the headsets that the caller may see.

    Raises
    ------
    Refused
        `forbidden` when a listener asks for headsets of another owner.
    """
    if caller.may("operator"):
        return query
    if query.owner not in ("", caller.user):
        refuse("forbidden", f"owner: others than you require the role operator (you are {caller.role})")
    return msgspec.structs.replace(query, owner=caller.user)


def search(
    query: FleetQuery, sort: str, limit: int, after: str, caller: Caller, deps: Dependencies
) -> FleetPage:
    """Return a page of the headsets that the caller may see. Raises Refused: `forbidden`, `bad_field`."""
    return deps.fleet_index.search(visible(query, caller), sort, limit, after)


def overview(query: FleetQuery, caller: Caller, deps: Dependencies) -> Overview:
    """Return an overview of the headsets that the caller may see; cached for a minute."""
    query = visible(query, caller)

    def read(_: str) -> Overview:
        return _overview(query, deps)

    key = msgspec.json.encode(query).decode()
    found = deps.fleet_cache.read("overview", key, read)
    assert found is not None
    return found


def _overview(query: FleetQuery, deps: Dependencies) -> Overview:
    index, since = deps.fleet_index, deps.clock() - LATELY_S
    change = msgspec.structs.replace
    return Overview(
        headsets=index.count(query),
        online=index.count(change(query, online=True)) if query.online is not False else 0,
        refused=index.count(change(query, refused_since=max(since, query.refused_since or 0.0))),
        reverted=index.count(change(query, reverted_since=max(since, query.reverted_since or 0.0))),
        attenuation=index.distribution(query),
        groups={field: index.groups(query, field) for field in GROUP_FIELDS},
        worst=index.search(query, "attenuation_db", WORST).headsets,
    )


def export(query: FleetQuery, caller: Caller, deps: Dependencies) -> str:
    """Return the headsets that the caller may see as CSV with a header (RFC 4180).

    Raises
    ------
    Refused
        `forbidden`; `too_large` when more than `MAX_EXPORTED` headsets match.
    """
    query = visible(query, caller)
    matching = deps.fleet_index.count(query)
    if matching > MAX_EXPORTED:
        refuse(
            "too_large",
            f"headsets: at most {MAX_EXPORTED:,} can be exported at once ({matching:,} match); add a filter",
        )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for headset in _all(query, deps):
        writer.writerow([_cell(value) for value in msgspec.structs.astuple(headset)])
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        return " ".join(value)
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"  # as text: owners choose names that operators open in a spreadsheet
    return "" if value is None else value


def _all(query: FleetQuery, deps: Dependencies) -> Iterator[HeadsetSummary]:
    after = ""
    while True:
        page = deps.fleet_index.search(query, limit=PAGE, after=after)
        yield from page.headsets
        after = page.next
        if not after:
            return
