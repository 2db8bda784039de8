"""Telemetry: what a headset says of itself now and then, as JSON on `anc/{thing}/telemetry` or over REST."""

from typing import Annotated

import msgspec
from msgspec import Meta

from anc.records import Mode


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
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
    """

    battery: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    level_dbfs: Annotated[float, Meta(ge=-200.0, le=20.0)] | None = None
    attenuation_db: Annotated[float, Meta(ge=-100.0, le=100.0)] | None = None
    mode: Mode | None = None
    firmware: Annotated[str, Meta(max_length=64)] | None = None
