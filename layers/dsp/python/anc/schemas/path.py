"""A secondary path that a headset measured itself, as it publishes it on `anc/{thing}/path`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import parse_json, refuse

PAYLOAD_LIMIT = 32 * 1024
MIN_FIT_DB = 6.0  # below, too little of what was heard was the driver's doing to tell S from it


class MeasuredPath(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome of a measurement.

    Attributes
    ----------
    secondary : list of float
        S, driver to error microphone, newest sample first; e = d - S * y.
    rate : int
        Hz.
    played : str
        What the driver played: a probe, or the listener's music.
    fit_db : float
        How far S explains the microphone on sound that it was not made from (`anc.dsp.identification`).
    seq : int
        Counts with the headset's snapshots; a path with a lower number than one that came is old.
    """

    secondary: Annotated[list[float], Meta(min_length=1, max_length=1024)]
    rate: Annotated[int, Meta(ge=MIN_RATE, le=MAX_HEADSET_RATE)]
    played: Literal["probe", "music"]
    fit_db: Annotated[float, Meta(ge=-200.0, le=200.0)]
    seq: Annotated[int, Meta(ge=0, lt=2**32)] | None = None


def parse_path(payload: bytes) -> MeasuredPath:
    """Read what a headset published. Raises Refused; `poor_fit` asks it to measure again."""
    if len(payload) > PAYLOAD_LIMIT:
        refuse("too_large", f"path: {len(payload):,} bytes, at most {PAYLOAD_LIMIT:,}")
    path: MeasuredPath = parse_json(payload, MeasuredPath)
    if path.fit_db < MIN_FIT_DB:
        refuse(
            "poor_fit",
            f"fit_db: {path.fit_db:.1f}, at least {MIN_FIT_DB:.0f} is needed; measure for longer, louder, "
            "or in a quieter place",
        )
    return path
