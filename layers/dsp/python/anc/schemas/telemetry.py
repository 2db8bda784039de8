"""Telemetry: what a headset says of itself now and then, as JSON on `anc/{thing}/telemetry` or over REST."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from anc.records import HeadsetMode
from anc.schemas.refusal import parse_json, refuse

PAYLOAD_LIMIT = 16 * 1024
MAX_REPORTS = 64


class TelemetryReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a headset knows of itself; it leaves out what it does not know.

    Attributes
    ----------
    battery : float
        Charge left, 0 to 1.
    level_dbfs : float
        At the error microphone.
    attenuation_db : float
        As measured there.
    mode : str
    firmware : str
    filters : int
        How many control filters it has played since it was switched on.
    reverted : int
        How many of these it gave up, since they made things worse.
    refused : str
        What it could not take last, and why.
    age_s : float
        How long ago this was so: a headset that was out of reach sends what it kept, without a clock.
    run, line : int
        A number drawn when the headset was switched on, and how many lines it had written since: with both, a
        line that comes again later is known to be the same.
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
    """Read what a headset published: one report, or an array of them. Raises Refused."""
    if len(payload) > PAYLOAD_LIMIT:
        refuse("too_large", f"telemetry: {len(payload):,} bytes, at most {PAYLOAD_LIMIT:,}")
    said: TelemetryReport | list[TelemetryReport] = parse_json(
        payload, TelemetryReport | list[TelemetryReport]
    )
    reports = said if isinstance(said, list) else [said]
    if len(reports) > MAX_REPORTS:
        refuse("too_large", f"telemetry: {len(reports)} reports, at most {MAX_REPORTS}")
    return reports
