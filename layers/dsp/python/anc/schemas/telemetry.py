"""Telemetry reports of a headset, as JSON on `anc/{thing}/telemetry` or over REST."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from anc.headset_records import HeadsetMode
from anc.schemas.refusal import parse_json, refuse

PAYLOAD_LIMIT = 16 * 1024
MAX_REPORTS = 64


class TelemetryReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A telemetry report. Fields without a value are omitted.

    Attributes
    ----------
    battery : float
        State of charge, 0 to 1.
    level_dbfs : float
        Level at the error microphone.
    attenuation_db : float
        Attenuation measured at the error microphone.
    mode : str
    firmware : str
    filters : int
        Number of control filters played since power-on.
    reverted : int
        Number of these that were reverted because they made the noise louder.
    refused : str
        What the headset rejected last, and why.
    age_s : float
        Age of the report: after a disconnection, a headset without a clock sends buffered reports.
    run, line : int
        A random number drawn at power-on, and the number of reports since: together they identify a
        report that arrives again.
    """

    battery: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    level_dbfs: Annotated[float, Meta(ge=-200.0, le=20.0)] | None = None
    attenuation_db: Annotated[float, Meta(ge=-100.0, le=100.0)] | None = None
    mode: HeadsetMode | None = None
    firmware: Annotated[str, Meta(max_length=64)] | None = None
    filters: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    reverted: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    refused: Annotated[str, Meta(max_length=200)] | None = None
    age_s: Annotated[float, Meta(ge=0.0, le=30 * 24 * 3600.0)] = 0.0
    run: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    line: Annotated[int, Meta(ge=0, lt=2**32)] | None = None


def parse_reports(payload: bytes) -> Sequence[TelemetryReport]:
    """Parse one report or an array of reports. Raises Refused."""
    if len(payload) > PAYLOAD_LIMIT:
        refuse("too_large", f"telemetry: must have at most {PAYLOAD_LIMIT:,} bytes (got {len(payload):,})")
    parsed: TelemetryReport | list[TelemetryReport] = parse_json(
        payload, TelemetryReport | list[TelemetryReport]
    )
    reports = parsed if isinstance(parsed, list) else [parsed]
    if len(reports) > MAX_REPORTS:
        refuse("too_large", f"telemetry: must have at most {MAX_REPORTS} reports (got {len(reports)})")
    return reports
