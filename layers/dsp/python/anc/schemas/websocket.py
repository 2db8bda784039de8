"""Messages of a live session over a WebSocket: JSON text frames, parsed and validated, or encoded.

API Gateway closes the socket after a frame over 32 KB (1009) or a binary frame (1003).
"""

import base64
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from anc.patterns import ID, ONE_LINE
from anc.pcm import bytes_to_int16, int16_to_bytes
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.schemas.refusal import Refused, parse_json, refuse

SUBPROTOCOL = "anc.v1"
FRAME_LIMIT = 32 * 1024
PCM_LIMIT = 24_000
MAX_TAPS = 4096
FDAF_BLOCK = 128

SessionId = Annotated[str, Meta(min_length=1, max_length=64)]
DeviceName = Annotated[str, Meta(pattern=ID + ONE_LINE)]
Seq = Annotated[int, Meta(ge=0, lt=2**53)]
Intensity = Annotated[float, Meta(ge=0.0, le=1.0)]
Rate = Annotated[int, Meta(ge=MIN_RATE, le=MAX_RATE)]
Taps = Annotated[int, Meta(ge=1, le=MAX_TAPS)]
Mu = Annotated[float, Meta(gt=0.0, lt=2.0)]
Horizon = Annotated[int, Meta(ge=1, le=4096)]
SessionMode = Literal["cancel", "predict", "bypass"]
Algorithm = Literal["nlms", "fdaf"]


class Request(msgspec.Struct, frozen=True, tag_field="action", forbid_unknown_fields=True):
    """A frame from a client; `action` identifies its type."""


class Start(Request, frozen=True, tag="start"):
    """Open a session. Omitted fields get the platform's defaults.

    `horizon` applies to `predict`: samples from the microphone signal to the playback of its anti-noise; one
    block by default.
    """

    mode: SessionMode = "cancel"
    algorithm: Algorithm = "nlms"
    rate: Rate | None = None
    channels: Annotated[int, Meta(ge=1, le=2)] | None = None
    taps: Taps | None = None
    mu: Mu = 0.5
    horizon: Horizon | None = None


class Audio(Request, frozen=True, tag="audio"):
    """One block of PCM, int16 little-endian, channels interleaved, base64."""

    session: SessionId
    seq: Seq
    pcm: str


class Set(Request, frozen=True, tag="set"):
    """Change a session. Omitted fields keep their values; changing the algorithm resets the filter."""

    session: SessionId
    enabled: bool | None = None
    intensity: Intensity | None = None
    algorithm: Algorithm | None = None


class Stop(Request, frozen=True, tag="stop"):
    """End a session and get its summary."""

    session: SessionId


class Watch(Request, frozen=True, tag="watch"):
    """Subscribe to updates of a headset."""

    device: DeviceName


class Ping(Request, frozen=True, tag="ping"):
    """Prevent the idle timeout of the socket."""


AnyRequest = Start | Audio | Set | Stop | Watch | Ping


class Response(msgspec.Struct, frozen=True, tag_field="type"):
    """A frame to a client; `type` identifies its type."""


class Started(Response, frozen=True, tag="started"):
    """A session was opened. Its first block must have the number `next_seq`."""

    session: str
    next_seq: int


class NoisePrediction(msgspec.Struct, frozen=True):
    """Predicted class of the noise, with its confidence, 0 to 1."""

    label: str
    confidence: float


class EmergencyState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether an emergency passes the sound through unfiltered; `reason` is set if detection failed."""

    active: bool
    score: float
    reason: str = ""


class FilteredBlock(Response, frozen=True, tag="audio", omit_defaults=True):
    """A filtered block. `attenuation_db` and `noise` are null until enough sound was received.

    `lag_s`, if present, is how many seconds the block waited in the client because earlier responses took
    longer than the duration of their blocks. A live client should then skip to its newest block.
    """

    seq: int
    pcm: str
    attenuation_db: float | None
    level_dbfs: float
    noise: NoisePrediction | None
    emergency: EmergencyState
    server_ms: float
    gap: int = 0
    lag_s: float | None = None


class SetDone(Response, frozen=True, tag="set"):
    """The current settings of the session."""

    session: str
    enabled: bool
    intensity: float


class Summary(msgspec.Struct, frozen=True):
    """Totals of a session. `attenuation_db` is the ratio of energies over all filtered blocks."""

    blocks: int
    seconds: float
    gaps: int
    attenuation_db: float | None
    filter_resets: int = 0


class Stopped(Response, frozen=True, tag="stopped"):
    """The session has ended and was deleted."""

    session: str
    summary: Summary


class Watching(Response, frozen=True, tag="watching"):
    """The socket now receives `device` frames of the headset."""

    device: str


class DeviceUpdate(Response, frozen=True, tag="device", omit_defaults=True):
    """The state of a watched headset changed."""

    device: str
    mode: str
    noise: NoisePrediction | None
    filter: str
    predicted_gain_db: float | None
    reason: str = ""


class JobUpdate(Response, frozen=True, tag="job", omit_defaults=True):
    """A recording of this user is done or has failed. The message may be sent twice."""

    job: str
    name: str
    state: str
    summary: dict[str, Any]
    failure: str = ""


class Pong(Response, frozen=True, tag="pong"):
    """Response to `ping`."""


class Error(Response, frozen=True, tag="error", omit_defaults=True):
    """A request was rejected; `seq` is the number of the block, if the request was one."""

    code: str
    message: str
    seq: int | None = None

    @classmethod
    def of(cls, refusal: Refused) -> "Error":
        """Return the frame for a refusal."""
        return cls(refusal.code, refusal.message, refusal.seq)


def parse_request(frame: str | None) -> AnyRequest:
    """Parse a client's frame. Raises Refused."""
    text = frame or ""
    if len(text) > FRAME_LIMIT:
        refuse("too_large", f"frame: {len(text):,} bytes, at most {FRAME_LIMIT:,}; send shorter blocks")
    return parse_json(text, AnyRequest)


def encode(answer: Response) -> str:
    """Return a response as a text frame."""
    return msgspec.json.encode(answer).decode()


def decode_pcm(pcm: str, channels: int) -> np.ndarray:
    """Return a block as (samples, channels) int16.

    Raises
    ------
    Refused
        When it is not base64, over the limit, empty, or no whole number of samples.
    """
    if len(pcm) > 2 * PCM_LIMIT:
        refuse("too_large", f"pcm: {len(pcm) * 3 // 4:,} bytes, at most {PCM_LIMIT:,}; send shorter blocks")
    try:
        data = base64.b64decode(pcm, validate=True)
    except ValueError as fault:
        raise Refused("bad_field", f"pcm: not base64 ({fault})") from fault
    frame = 2 * channels
    if len(data) > PCM_LIMIT:
        refuse("too_large", f"pcm: {len(data):,} bytes, at most {PCM_LIMIT:,}; send shorter blocks")
    if not data or len(data) % frame:
        refuse("bad_field", f"pcm: {len(data):,} bytes, must be a multiple of {frame} and more than none")
    return bytes_to_int16(data, channels)


def encode_pcm(samples: np.ndarray) -> str:
    """Return (samples,) int16 as base64."""
    return base64.b64encode(int16_to_bytes(samples)).decode()
