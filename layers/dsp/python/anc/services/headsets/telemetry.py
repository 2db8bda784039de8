"""What headsets say of themselves: the last word of each, and its history for a month."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from anc.ports import Conflict, Dependencies
from anc.records import Device, ReceivedReports, Telemetry
from anc.schemas.refusal import refuse
from anc.schemas.telemetry import TelemetryReport, parse_reports
from anc.services.access.identity import Caller
from anc.services.headsets.devices import find
from anc.services.headsets.registrations import registered
from anc.services.updates import retry_or_refuse

KEPT_S = 30 * 24 * 3600.0
MIN_INTERVAL_S = 5.0  # between two reports that are kept; what comes closer is thinned out


def store(thing: str, payload: bytes, at: float, deps: Dependencies) -> None:
    """Keep what a headset published at `at`, one report or several. Again changes nothing.

    Raises
    ------
    Refused
        `unknown_device`, `too_large`, `bad_json` or `bad_field`.
    """
    device = registered(thing, deps, at) or refuse("unknown_device", f"thing: {thing} is not registered")
    for report in sorted(parse_reports(payload), key=lambda report: -report.age_s):
        _store(device, report, at - report.age_s, deps)


def report(thing: str, said: TelemetryReport, caller: Caller, deps: Dependencies) -> Telemetry:
    """Keep what somebody says in a headset's stead."""
    device = find(thing, caller, deps)
    return _store(device, said, deps.clock() - said.age_s, deps)


def latest(thing: str, caller: Caller, deps: Dependencies) -> tuple[float | None, TelemetryReport]:
    """Return when a headset spoke of itself last, and what it said; None and nothing before that."""
    find(thing, caller, deps)
    known = deps.telemetry.get(thing)
    return (None, TelemetryReport()) if known is None else (known.at, report_of(known))


def history(
    thing: str, caller: Caller, deps: Dependencies, limit: int = 100, after: str = "", since: float = 0.0
) -> Sequence[Telemetry]:
    """Return what a headset said since then, the oldest first, of at most the last month."""
    device = find(thing, caller, deps)
    first = _entry(device, since - MIN_INTERVAL_S)
    return deps.history.list(_group(device), limit, max(after, first))


def report_of(record: Telemetry) -> TelemetryReport:
    """Return what was said."""
    return msgspec.json.decode(record.report, type=TelemetryReport)


def _store(device: Device, said: TelemetryReport, at: float, deps: Dependencies) -> Telemetry:
    body = msgspec.json.encode(msgspec.structs.replace(said, age_s=0.0, run=None, line=None))

    def update() -> Telemetry:
        known = deps.telemetry.get(device.key)
        lines = known.received if known else None
        if said.run is not None and said.line is not None:
            if lines and lines.holds(said.run, said.line):
                assert known is not None
                return known  # it comes again, by now with another age
            lines = lines.adding(said.run, said.line) if lines else ReceivedReports(said.run, said.line)
        with suppress(Conflict):  # a report of this moment is kept already
            deps.history.put(
                Telemetry(
                    key=_entry(device, at), group=_group(device), expires=at + KEPT_S, at=at, report=body
                )
            )
        latest = Telemetry(key=device.key, group=device.group, at=at, report=body)
        if known and at < known.at:
            if lines == known.received:
                return known
            latest = known  # overtaken
        stored = deps.telemetry.put(latest.replace(version=known.version if known else 0, received=lines))
        reverted = _reverted(report_of(known) if known else TelemetryReport(), report_of(stored))
        if reverted:
            deps.counters.add("filters_reverted", reverted)
        return stored

    return retry_or_refuse(update, "device: other telemetry of it keeps being stored; try again")


def _reverted(before: TelemetryReport, now: TelemetryReport) -> int:
    """Return how many filters the headset gave up since; its own count begins anew when it is switched on."""
    was, is_now = before.reverted or 0, now.reverted or 0
    return is_now - was if is_now >= was else is_now


def _group(device: Device) -> str:
    # A name may have been another headset's before: what that one said is nobody's business any more.
    return f"{device.key}#{int(1000 * device.created)}"


def _entry(device: Device, at: float) -> str:
    return f"{_group(device)}#{max(0, int(at / MIN_INTERVAL_S)):012d}"
