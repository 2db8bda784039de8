"""Telemetry of headsets: the latest report of each, and its history for a month."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from anc.headset_records import Device, ReceivedReports, Telemetry
from anc.ports import Conflict, Dependencies
from anc.schemas.refusal import refuse
from anc.schemas.telemetry import TelemetryReport, parse_reports
from anc.services.access.identity import Caller
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
    for report in sorted(parse_reports(payload), key=lambda report: -report.age_s):
        _store(device, report, at - report.age_s, deps)


def store_on_behalf(thing: str, report: TelemetryReport, caller: Caller, deps: Dependencies) -> Telemetry:
    """Store a report that a user or API key sends on behalf of a headset."""
    device = find(thing, caller, deps)
    return _store(device, report, deps.clock() - report.age_s, deps)


def latest(thing: str, caller: Caller, deps: Dependencies) -> tuple[float | None, TelemetryReport]:
    """Return the time and content of a headset's latest report; None and an empty one before the first."""
    find(thing, caller, deps)
    known = deps.telemetry.get(thing)
    return (None, TelemetryReport()) if known is None else (known.at, report_of(known))


def history(
    thing: str, caller: Caller, deps: Dependencies, limit: int = 100, after: str = "", since: float = 0.0
) -> Sequence[Telemetry]:
    """Return the stored reports of a headset since a time, oldest first."""
    device = find(thing, caller, deps)
    first = _entry(device, since - MIN_INTERVAL_S)
    return deps.history.list(_group(device), limit, max(after, first))


def report_of(record: Telemetry) -> TelemetryReport:
    """Return the report in a record."""
    return msgspec.json.decode(record.report, type=TelemetryReport)


def _store(device: Device, report: TelemetryReport, at: float, deps: Dependencies) -> Telemetry:
    body = msgspec.json.encode(msgspec.structs.replace(report, age_s=0.0, run=None, line=None))

    def update() -> Telemetry:
        known = deps.telemetry.get(device.key)
        if known and _is_repeated(report, known.received):
            return known
        received = _with_report(known.received if known else None, report)
        with suppress(Conflict):  # the history has a report of this interval
            deps.history.put(
                Telemetry(
                    key=_entry(device, at), group=_group(device), expires=at + HISTORY_S, at=at, report=body
                )
            )
        latest = Telemetry(key=device.key, group=device.group, at=at, report=body)
        if known and at < known.at:
            if received == known.received:
                return known
            latest = known  # a later report is stored
        stored = deps.telemetry.put(latest.replace(version=known.version if known else 0, received=received))
        reverted = _reverted(report_of(known) if known else TelemetryReport(), report_of(stored))
        if reverted:
            deps.count("filters_reverted", reverted)
        return stored

    return retry_or_refuse(update, "device: other telemetry of it is being stored; try again")


def _is_repeated(report: TelemetryReport, received: ReceivedReports | None) -> bool:
    """Return whether a report was received before; only its age may differ."""
    if received is None or report.run is None or report.line is None:
        return False
    return received.holds(report.run, report.line)


def _with_report(received: ReceivedReports | None, report: TelemetryReport) -> ReceivedReports | None:
    if report.run is None or report.line is None:
        return received
    return received.adding(report.run, report.line) if received else ReceivedReports(report.run, report.line)


def _reverted(before: TelemetryReport, now: TelemetryReport) -> int:
    """Return how many filters the headset reverted since; its count restarts when it is switched on."""
    was, is_now = before.reverted or 0, now.reverted or 0
    return is_now - was if is_now >= was else is_now


def _group(device: Device) -> str:
    # The history of an earlier headset of this name must not be shown to the present owner.
    return f"{device.key}#{int(1000 * device.created)}"


def _entry(device: Device, at: float) -> str:
    return f"{_group(device)}#{max(0, int(at / MIN_INTERVAL_S)):012d}"
