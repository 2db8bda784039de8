"""The named shadow `anc` of a headset: desired and reported state."""

import base64
from typing import Annotated, Literal, Self

import msgspec
import numpy as np
from msgspec import Meta

from anc.filter_taps import decode_taps, filter_id, taps_sha256
from anc.headset_records import HeadsetMode
from anc.patterns import FIRMWARE_URL, ONE_LINE, SHA256, SHORT_HASH, VERSION
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import Refused, parse_json, refuse

SHADOW = "anc"
DOCUMENT_LIMIT = 8 * 1024
Intensity = Annotated[float, Meta(ge=0.0, le=1.0)]
MAX_TAPS = 1024
MAX_FIRMWARE_BYTES = 16 * 1024**2
Version = Annotated[str, Meta(pattern=VERSION + ONE_LINE)]


class FilterDocument(msgspec.Struct, frozen=True):
    """An encoded control filter: float16 little-endian, tap 0 first, base64.

    Attributes
    ----------
    id : str
        The first 16 hexadecimal digits of `sha256`.
    seq : int
        Number of the snapshot that it was designed from.
    rate : int
        Sample rate of the filter in Hz.
    sha256 : str
        Hash of the float16 bytes. A headset verifies it before playing the filter.
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
        """Return the document of float16 taps."""
        text = base64.b64encode(data).decode()
        return cls(filter_id(data), seq, rate, len(data) // 2, "f16", text, taps_sha256(data))

    def decode(self) -> np.ndarray:
        """Return the (taps,) float32 filter. Raises Refused if length, hash or a value is invalid."""
        try:
            data = base64.b64decode(self.data, validate=True)
        except ValueError as fault:
            raise Refused("bad_field", "filter.data: must be base64") from fault
        if len(data) != 2 * self.taps:
            refuse(
                "bad_field",
                f"filter.data: must have {2 * self.taps} bytes for {self.taps} taps (got {len(data)})",
            )
        if (taps_sha256(data), filter_id(data)) != (self.sha256, self.id):
            refuse("bad_hash", "filter.sha256: does not match the data; the filter was damaged in transit")
        w = decode_taps(data)
        if not np.isfinite(w).all():
            refuse("bad_field", "filter.data: has a value that is not finite")
        return w


class Noise(msgspec.Struct, frozen=True):
    """The predicted class of the noise."""

    label: str
    confidence: float


class Firmware(msgspec.Struct, frozen=True):
    """Desired firmware, with the hash and size by which the headset verifies the download.

    Attributes
    ----------
    version : str
        Three numbers. A headset never installs a lower version.
    url : str
        HTTPS URL, or plain HTTP from 127.0.0.1.
    sha256 : str
    size : int
        Size in bytes.
    """

    version: Version
    url: Annotated[str, Meta(pattern=FIRMWARE_URL + ONE_LINE, max_length=1024)]
    sha256: Annotated[str, Meta(pattern=SHA256 + ONE_LINE)]
    size: Annotated[int, Meta(ge=1, le=MAX_FIRMWARE_BYTES)]


class Configuration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Configuration of a headset. Omitted fields have the manufacturer's defaults.

    Attributes
    ----------
    snapshot_interval_s : float
        Seconds between snapshots of an unchanged noise.
    telemetry_interval_s : float
        Seconds between telemetry reports.
    private : bool
        Send statistics and a summary instead of sound.
    """

    snapshot_interval_s: Annotated[float, Meta(ge=5.0, le=3600.0)] | None = None
    telemetry_interval_s: Annotated[float, Meta(ge=60.0, le=86_400.0)] | None = None
    private: bool | None = None


class FirmwareState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Progress of the desired firmware update; absent once that version runs."""

    version: str
    state: Literal["downloading", "verified", "refused"]
    reason: str = ""


class Desired(msgspec.Struct, frozen=True, omit_defaults=True):
    """Desired state of a headset. A field that is absent from a delta has not changed.

    `without_control` is the number of a snapshot that was recorded with a filter unknown to the cloud. It
    requests another snapshot without anti-noise.
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
    """Reported state of a headset. `attenuation_db` is measured at its error microphone.

    `config` is the active configuration, `firmware` the running version, and `update` the progress of the
    desired one. The desired firmware is not reported under the name `firmware`: the delta omits fields that
    are equal on both sides, and a part of a firmware object is unusable.
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
    """Return the taps of a filter as float16 bytes.

    Raises
    ------
    Refused
        If a tap exceeds the range of float16 (65,504) or is not finite.
    """
    with np.errstate(over="ignore"):
        half = np.asarray(w).astype("<f2")
    if not np.isfinite(half).all():
        refuse("bad_field", "filter: a tap does not fit into float16 (at most 65504)")
    return half.tobytes()


def parse_desired(text: str | bytes) -> Desired:
    """Parse the desired part of a shadow document or delta. Raises Refused."""
    if len(text) > DOCUMENT_LIMIT:
        refuse("too_large", f"shadow: must have at most {DOCUMENT_LIMIT:,} bytes (got {len(text):,})")
    return parse_json(text, Desired)
