"""The named shadow `anc` of a headset: desired and reported state."""

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from anc.filter_taps import decode_taps, filter_id, taps_sha256
from anc.headset_records import HeadsetMode
from anc.patterns import FIRMWARE_URL, ONE_LINE, SHA256, SHORT_HASH, VERSION
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.refusal import Refused, parse_json, refuse
from anc.validation_messages import msgspec_sentence

T = TypeVar("T")
SHADOW = "anc"
SUMMARY_SHADOW = "fleet"  # written by the platform for the fleet index; headsets cannot access it
SUMMARY_FIELDS = f"shadow.name.{SUMMARY_SHADOW}.reported."  # prefix of their names in queries of the index
INDEXED_FIELDS = {
    "model": "String",
    "firmware": "String",
    "noise": "String",
    "attenuation_db": "Number",
    "refused_at": "Number",
}
DOCUMENT_LIMIT = 8 * 1024
Intensity = Annotated[float, Meta(ge=0.0, le=1.0)]
MAX_TAPS = 1024
MAX_FIRMWARE_BYTES = 16 * 1024**2
MAX_URL_CHARS = 1024
URL_CHARS_WITH_LONG_FILTER = 200
LONG_FILTER_TAPS = 512
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

    label: Annotated[str, Meta(max_length=64)]
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
    url: Annotated[str, Meta(pattern=FIRMWARE_URL + ONE_LINE, max_length=MAX_URL_CHARS)]
    sha256: Annotated[str, Meta(pattern=SHA256 + ONE_LINE)]
    size: Annotated[int, Meta(ge=1, le=MAX_FIRMWARE_BYTES)]


class Configuration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Configuration of a headset. Omitted fields have the manufacturer's defaults.

    Attributes
    ----------
    snapshot_interval_s : float
        Shortest interval between snapshots of an unchanged noise, in seconds.
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

    version: Annotated[str, Meta(max_length=64)]
    state: Literal["downloading", "verified", "refused"]
    reason: Annotated[str, Meta(max_length=200)] = ""


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

    def with_changes(self, change: Self) -> Self:
        """Return a copy with the fields of `change` that are present."""
        return msgspec.structs.replace(self, **change.present())

    def present(self) -> dict[str, Any]:
        """Return the fields that are present, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """Reported state of a headset.

    The first fields repeat the desired state that the headset has processed, in the same shape, so that the
    delta is empty after one report. The others state what became of it.

    Attributes
    ----------
    filter : FilterDocument or str
        As in `Desired`, also when the headset refused or reverted it. The former shape is the id of the
        active filter.
    config : Configuration
        The active configuration.
    firmware : Firmware or str
        As in `Desired`. The former shape is the running version.
    seq : int
        Number of the latest snapshot.
    active_mode, active_filter : str
        Mode and id of the filter in force, "" for none. An alarm that the headset detects itself changes the
        mode in force, not `mode`.
    attenuation_db : float
        Measured at the error microphone.
    reverted : int
        Number of filters that were reverted since power-on.
    refused : str
        What was refused last, and why.
    firmware_version : str
        Running version.
    update : FirmwareState
        Progress of the desired firmware.
    """

    mode: HeadsetMode | None = None
    intensity: Intensity | None = None
    filter: FilterDocument | Annotated[str, Meta(max_length=64)] | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None
    noise: Noise | None = None
    without_control: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    firmware: Firmware | Annotated[str, Meta(max_length=64)] | None = None
    config: Configuration | None = None
    seq: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    active_mode: HeadsetMode | None = None
    active_filter: Annotated[str, Meta(max_length=64)] | None = None
    attenuation_db: float | None = None
    reverted: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    refused: Annotated[str, Meta(max_length=200)] | None = None
    firmware_version: Annotated[str, Meta(max_length=64)] | None = None
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


def max_firmware_url_chars(taps: int) -> int:
    """Return the longest firmware URL that fits into the shadow, desired and reported, with such a filter."""
    return MAX_URL_CHARS if taps <= LONG_FILTER_TAPS else URL_CHARS_WITH_LONG_FILTER


def parse_desired(text: str | bytes) -> Desired:
    """Parse the desired part of a shadow document or delta. Raises Refused."""
    if len(text) > DOCUMENT_LIMIT:
        refuse("too_large", f"shadow: must have at most {DOCUMENT_LIMIT:,} bytes (got {len(text):,})")
    return parse_json(text, Desired)


def desired_of(state: Mapping[str, Any]) -> Desired:
    """Return desired state, whole or in part. Raises Refused; the message names the field and its limit."""
    return _converted(state, Desired)


def check_reported(state: Mapping[str, Any]) -> None:
    """Check reported state, whole or in part. Raises Refused; the message names the field and its limit.

    Unknown fields are allowed, so that later headsets can report more.
    """
    try:
        _converted(state, Reported)
    except Refused as refusal:
        raise Refused(refusal.code, f"reported.{refusal.message}") from refusal


def _converted(state: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(state, kind)
    except msgspec.ValidationError as fault:
        raise Refused("bad_field", msgspec_sentence(str(fault), kind, state)) from fault


def merge(old: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with a change, as AWS IoT merges state: objects by key, null removes, others replace."""
    merged = dict(old)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            nested = merged.get(key)
            merged[key] = merge(nested if isinstance(nested, dict) else {}, value)
        else:
            merged[key] = value
    return merged
