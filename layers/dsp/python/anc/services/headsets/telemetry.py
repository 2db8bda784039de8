"""Telemetry of headsets: the latest report of each, and its history for a month.

The history has one record per message: a write costs as much for fifteen small reports as for one. Several
reports are compressed, so that the record takes less than the kilobyte of one write unit.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from anc.headset_records import Device, ReceivedReports, Telemetry
from anc.ports import Conflict, Dependencies
from anc.schemas.refusal import refuse
from anc.schemas.telemetry import TelemetryReport, parse_reports
from anc.services.access.identity import Caller
from anc.services.headsets import fleet
from anc.services.headsets.devices import find
from anc.services.headsets.registrations import registered
from anc.services.updates import retry_or_refuse

HISTORY_S = 30 * 24 * 3600.0
MIN_INTERVAL_S = 5.0  # the history keeps at most one report in this time


def store(thing: str, payload: bytes, at: float, deps: Dependencies) -> None:
    """Store what a headset published at `at`: one report or several. Idempotent.

    Raises
    ------
    Refused
        `unknown_device`, `too_large`, `bad_json` or `bad_field`.
    """
    device = registered(thing, deps, at) or refuse("unknown_device", f"thing: {thing} is not registered")
    _store(device, parse_reports(payload), at, deps)


def store_on_behalf(thing: str, report: TelemetryReport, caller: Caller, deps: Dependencies) -> Telemetry:
    """Store a report that a user or API key sends on behalf of a headset."""
    device = find(thing, caller, deps)
    return _store(device, [report], deps.clock(), deps)


def latest(thing: str, caller: Caller, deps: Dependencies) -> tuple[float | None, TelemetryReport]:
    """Return the time and content of a headset's latest report; None and an empty one before the first."""
    find(thing, caller, deps)
    known = deps.telemetry.get(thing)
    return (None, TelemetryReport()) if known is None else (known.at, report_of(known))


def history(
    thing: str, caller: Caller, deps: Dependencies, limit: int = 100, after: str = "", since: float = 0.0
) -> Sequence[Telemetry]:
    """Return the stored reports of a headset since a time, oldest first, each as a record of its own."""
    device = find(thing, caller, deps)
    first = record_key = max(after, _entry(device, since - MIN_INTERVAL_S))
    found: list[Telemetry] = []
    while len(found) < limit:
        records = deps.history.list(_group(device), limit - len(found), record_key)
        if not records:
            break
        record_key = records[-1].key
        reports = [each for record in records for each in _records_in(record, device)]
        found += [each for each in reports if each.key > first]
    return found[:limit]


def report_of(record: Telemetry) -> TelemetryReport:
    """Return the report in a record."""
    return msgspec.json.decode(record.report, type=TelemetryReport)


def _store(device: Device, reports: Sequence[TelemetryReport], at: float, deps: Dependencies) -> Telemetry:
    """Store the reports of a message that was published at `at`, and return the latest report."""
    reports = sorted(reports, key=lambda report: -report.age_s)

    def update() -> Telemetry:
        known = deps.telemetry.get(device.key)
        received, new = known.received if known else None, []
        for report in reports:
            if not _is_repeated(report, received):
                received = _with_report(received, report)
                new.append((at - report.age_s, _without_origin(report)))
        if known and not new:
            return known
        with suppress(Conflict):  # the history has a report of this interval
            deps.history.put(_history_record(device, new))
        newest_at, newest = new[-1]
        latest = Telemetry(key=device.key, group=device.group, at=newest_at, report=_encoded(newest))
        if known and newest_at < known.at:
            if received == known.received:
                return known
            latest = known  # a later report is stored
        stored = deps.telemetry.put(latest.replace(version=known.version if known else 0, received=received))
        reverted = _reverted(known, new)
        if reverted:
            deps.count("filters_reverted", reverted)
        before = (known.at, report_of(known)) if known else None
        fleet.record_telemetry(device, before, (stored.at, report_of(stored)), reverted, deps)
        return stored

    return retry_or_refuse(update, "device: other telemetry of it is being stored; try again")


def _history_record(device: Device, reports: Sequence[tuple[float, TelemetryReport]]) -> Telemetry:
    """Return reports, oldest first, as a record of the history under the time of the newest one."""
    at = reports[-1][0]
    by_entry = {_entry(device, time): (time, report) for time, report in reports}
    aged = [msgspec.structs.replace(report, age_s=round(at - time, 1)) for time, report in by_entry.values()]
    body = _encoded(aged[0]) if len(aged) == 1 else zlib.compress(msgspec.json.encode(aged), level=9)
    return Telemetry(key=_entry(device, at), group=_group(device), expires=at + HISTORY_S, at=at, report=body)


def newest_records(
    thing: str, caller: Caller, deps: Dependencies, since: float, page: int = 500
) -> Iterator[Telemetry]:
    """Yield the records of a headset's history that end after `since`, the newest first.

    A record may hold reports from before; `reports_in` returns them.
    """
    device = find(thing, caller, deps)
    after = ""
    while records := deps.history.list(_group(device), page, after, descending=True):
        for record in records:
            if record.at < since:
                return
            yield record
        after = records[-1].key


def reports_in(record: Telemetry) -> Sequence[tuple[float, TelemetryReport]]:
    """Return the reports of a record of the history, each with its time."""
    is_text = record.report[:1] in (b"{", b"[")  # a single report, or several in records of earlier versions
    text = record.report if is_text else zlib.decompress(record.report)
    reports = msgspec.json.decode(text, type=TelemetryReport | list[TelemetryReport])
    return [
        (record.at - report.age_s, report) for report in (reports if isinstance(reports, list) else [reports])
    ]


def _records_in(record: Telemetry, device: Device) -> Sequence[Telemetry]:
    """Return the reports of a record of the history, each as a record of its own."""
    return [
        record.replace(key=_entry(device, at), at=at, report=_encoded(_without_origin(report)))
        for at, report in reports_in(record)
    ]


def _encoded(report: TelemetryReport) -> bytes:
    return msgspec.json.encode(report)


def _without_origin(report: TelemetryReport) -> TelemetryReport:
    return msgspec.structs.replace(report, age_s=0.0, run=None, line=None)


def _is_repeated(report: TelemetryReport, received: ReceivedReports | None) -> bool:
    """Return whether a report was received before; only its age may differ."""
    if received is None or report.run is None or report.line is None:
        return False
    return received.holds(report.run, report.line)


def _with_report(received: ReceivedReports | None, report: TelemetryReport) -> ReceivedReports | None:
    if report.run is None or report.line is None:
        return received
    return received.adding(report.run, report.line) if received else ReceivedReports(report.run, report.line)


def _reverted(known: Telemetry | None, new: Sequence[tuple[float, TelemetryReport]]) -> int:
    """Return how many filters the headset reverted since; its count restarts when it is switched on."""
    was, total = (report_of(known).reverted or 0) if known else 0, 0
    for at, report in new:
        if known is None or at >= known.at:
            now = report.reverted or 0
            total += now - was if now >= was else now
            was = now
    return total


def _group(device: Device) -> str:
    # The history of an earlier headset of this name must not be shown to the present owner.
    return f"{device.key}#{int(1000 * device.created)}"


def _entry(device: Device, at: float) -> str:
    return f"{_group(device)}#{max(0, int(at / MIN_INTERVAL_S)):012d}"
