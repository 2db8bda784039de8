"""The secondary path that a headset measured, as published on `anc/{thing}/path`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import parse_json, refuse

PAYLOAD_LIMIT = 32 * 1024
MIN_FIT_DB = 6.0  # below this, too little of the microphone signal came from the driver to identify S


class MeasuredPath(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measured secondary path.

    Attributes
    ----------
    secondary : list of float
        Impulse response S from driver to error microphone, tap 0 first; e = d - S * y.
    rate : int
        Hz.
    played : str
        What the driver played: a probe signal, or the user's music.
    fit_db : float
        How much of the microphone signal S explains, on validation data (`anc.dsp.identification`).
    seq : int
        Sequence number, counted with the snapshots; a path with a lower number than the last is outdated.
    """

    secondary: Annotated[list[float], Meta(min_length=1, max_length=1024)]
    rate: Annotated[int, Meta(ge=MIN_RATE, le=MAX_HEADSET_RATE)]
    played: Literal["probe", "music"]
    fit_db: Annotated[float, Meta(ge=-200.0, le=200.0)]
    seq: Annotated[int, Meta(ge=0, lt=2**32)] | None = None


def parse_path(payload: bytes) -> MeasuredPath:
    """Parse a published path. Raises Refused: `poor_fit` if the headset must measure again."""
    if len(payload) > PAYLOAD_LIMIT:
        refuse("too_large", f"path: must have at most {PAYLOAD_LIMIT:,} bytes (got {len(payload):,})")
    path: MeasuredPath = parse_json(payload, MeasuredPath)
    if path.fit_db < MIN_FIT_DB:
        refuse(
            "poor_fit",
            f"fit_db: must be at least {MIN_FIT_DB:.0f} (got {path.fit_db:.1f}); measure for longer, louder, "
            "or in a quieter place",
        )
    return path
