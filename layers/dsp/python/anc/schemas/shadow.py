"""The named shadow `anc` of a headset: what the cloud desires and what the headset reports."""

import base64
from typing import Annotated, Literal, Self

import msgspec
import numpy as np
from msgspec import Meta

from anc.filter_taps import decode_taps, filter_id, taps_sha256
from anc.patterns import FIRMWARE_URL, ONE_LINE, SHA256, SHORT_HASH, VERSION
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import Refused, parse_json, refuse

SHADOW = "anc"
DOCUMENT_LIMIT = 8 * 1024
HeadsetMode = Literal["cancel", "transparency", "bypass"]
Intensity = Annotated[float, Meta(ge=0.0, le=1.0)]
MAX_TAPS = 1024
MAX_FIRMWARE_BYTES = 16 * 1024**2
Version = Annotated[str, Meta(pattern=VERSION + ONE_LINE)]


class FilterDocument(msgspec.Struct, frozen=True):
    """A control filter on its way: float16 little-endian, tap 0 first, base64.

    Attributes
    ----------
    id : str
        The first 16 hexadecimal digits of `sha256`.
    seq : int
        The snapshot that it was computed from.
    rate : int
        Hz, at which the filter runs.
    sha256 : str
        Of the float16 bytes; a headset plays nothing whose hash it has not checked.
    """

    id: Annotated[str, Meta(pattern=SHORT_HASH + ONE_LINE)]
    seq: Annotated[int, Meta(ge=0, lt=2**32)]
    rate: Annotated[int, Meta(ge=MIN_RATE, le=MAX_HEADSET_RATE)]
    taps: Annotated[int, Meta(ge=1, le=MAX_TAPS)]
    dtype: Literal["f16"]
    data: Annotated[str, Meta(max_length=4 * MAX_TAPS)]
    sha256: Annotated[str, Meta(pattern=SHA256 + ONE_LINE)]

    @classmethod
    def of(cls, data: bytes, seq: int, rate: int) -> Self:
        """Wrap float16 taps."""
        text = base64.b64encode(data).decode()
        return cls(filter_id(data), seq, rate, len(data) // 2, "f16", text, taps_sha256(data))

    def decode(self) -> np.ndarray:
        """Return the (taps,) float32 filter. Raises Refused when length, hash or a value is wrong."""
        try:
            data = base64.b64decode(self.data, validate=True)
        except ValueError as fault:
            raise Refused("bad_field", "filter.data: not base64") from fault
        if len(data) != 2 * self.taps:
            refuse("bad_field", f"filter.data: {len(data)} bytes, {2 * self.taps} make {self.taps} taps")
        if (taps_sha256(data), filter_id(data)) != (self.sha256, self.id):
            refuse("bad_hash", "filter.sha256: does not match the data; the filter was damaged on its way")
        w = decode_taps(data)
        if not np.isfinite(w).all():
            refuse("bad_field", "filter.data: holds a value that is not finite")
        return w


class Noise(msgspec.Struct, frozen=True):
    """What the cloud heard."""

    label: str
    confidence: float


class Firmware(msgspec.Struct, frozen=True):
    """A firmware that is wanted, and by what the headset knows it when it has fetched it.

    Attributes
    ----------
    version : str
        Three numbers; a headset never goes back to a lower one.
    url : str
        HTTPS, or plain HTTP from the very machine.
    sha256 : str
    size : int
        Bytes.
    """

    version: Version
    url: Annotated[str, Meta(pattern=FIRMWARE_URL + ONE_LINE, max_length=1024)]
    sha256: Annotated[str, Meta(pattern=SHA256 + ONE_LINE)]
    size: Annotated[int, Meta(ge=1, le=MAX_FIRMWARE_BYTES)]


class Configuration(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a headset is to go about it; what is left out is its maker's choice.

    Attributes
    ----------
    snapshot_interval_s : float
        Between snapshots of an unchanging noise.
    telemetry_interval_s : float
        Between lines of telemetry.
    private : bool
        Send statistics and a summary in place of sound.
    """

    snapshot_interval_s: Annotated[float, Meta(ge=5.0, le=3600.0)] | None = None
    telemetry_interval_s: Annotated[float, Meta(ge=60.0, le=86_400.0)] | None = None
    private: bool | None = None


class FirmwareState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the firmware that was wanted last; nothing is said of one that runs already."""

    version: str
    state: Literal["downloading", "verified", "refused"]
    reason: str = ""


class Desired(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the cloud wants of the headset. A field that is absent from a delta has not changed.

    `without_control` is the number of a snapshot that the cloud could not use, since it does not know the
    filter that was playing; it wants another one, taken in silence.
    """

    mode: HeadsetMode | None = None
    intensity: Intensity | None = None
    filter: FilterDocument | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None
    noise: Noise | None = None
    without_control: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    firmware: Firmware | None = None
    config: Configuration | None = None


class Reported(msgspec.Struct, frozen=True):
    """What the headset says it does. `attenuation_db` is measured at its error microphone.

    `config` is what is in force; `firmware` is the version that runs, `update` tells of another, wanted one.
    What is wanted as an object is reported under its own name only where it has the same fields: a shadow's
    delta leaves out what is equal on both sides, and half a firmware is none.
    """

    mode: HeadsetMode
    intensity: Intensity
    filter: str
    seq: int
    attenuation_db: float | None = None
    reverted: int = 0
    refused: str = ""
    config: Configuration = Configuration()
    firmware: str = ""
    update: FirmwareState | None = None


def float16(w: np.ndarray) -> bytes:
    """Return the filter's bytes as they travel.

    Raises
    ------
    Refused
        When a tap is beyond the range of float16 (65,504) or not finite.
    """
    with np.errstate(over="ignore"):
        half = np.asarray(w).astype("<f2")
    if not np.isfinite(half).all():
        refuse("bad_field", "filter: a tap does not fit into float16")
    return half.tobytes()


def parse_desired(text: str | bytes) -> Desired:
    """Read the desired part of a shadow document or delta. Raises Refused."""
    if len(text) > DOCUMENT_LIMIT:
        refuse("too_large", f"shadow: {len(text):,} bytes, at most {DOCUMENT_LIMIT:,}")
    return parse_json(text, Desired)
