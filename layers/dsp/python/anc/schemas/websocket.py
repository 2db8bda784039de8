"""The live stream: JSON text frames, parsed and checked on the way in, encoded on the way out.

API Gateway closes frames over 32 KB (1009) and binary ones (1003); what comes through meets the limits here.
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
    """A frame from a client; `action` tells which."""


class Start(Request, frozen=True, tag="start"):
    """Open a session. What is left out is the platform's choice.

    `horizon` is for `predict`: samples between what is heard and when its anti-noise sounds, a block if left
    out.
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
    """Change a session. A field that is left out stays; another algorithm starts from nothing."""

    session: SessionId
    enabled: bool | None = None
    intensity: Intensity | None = None
    algorithm: Algorithm | None = None


class Stop(Request, frozen=True, tag="stop"):
    """End a session; the answer sums it up."""

    session: SessionId


class Watch(Request, frozen=True, tag="watch"):
    """Be told what happens to a device."""

    device: DeviceName


class Ping(Request, frozen=True, tag="ping"):
    """Keep the socket from idling out."""


AnyRequest = Start | Audio | Set | Stop | Watch | Ping


class Response(msgspec.Struct, frozen=True, tag_field="type"):
    """A frame to a client; `type` tells which."""


class Started(Response, frozen=True, tag="started"):
    """The session is open; its first block has `next_seq`."""

    session: str
    next_seq: int


class NoisePrediction(msgspec.Struct, frozen=True):
    """What the platform takes the noise for."""

    label: str
    confidence: float


class EmergencyState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether an alarm opened the session to the world; `reason` when it is open for want of hearing."""

    active: bool
    score: float
    reason: str = ""


class FilteredBlock(Response, frozen=True, tag="audio", omit_defaults=True):
    """The answer to a block. `attenuation_db` and `noise` are null while there is nothing to tell.

    `lag_s`, when there, is for how many seconds the block waited in the client because earlier answers took
    longer than their blocks last: a live client skips to its newest block.
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
    """The session's settings as they now are."""

    session: str
    enabled: bool
    intensity: float


class Summary(msgspec.Struct, frozen=True):
    """A session from beginning to end; attenuation is of energies, over all that was answered."""

    blocks: int
    seconds: float
    gaps: int
    attenuation_db: float | None
    filter_resets: int = 0


class Stopped(Response, frozen=True, tag="stopped"):
    """The session has ended and is forgotten."""

    session: str
    summary: Summary


class Watching(Response, frozen=True, tag="watching"):
    """From now on this socket gets `device` frames."""

    device: str


class DeviceUpdate(Response, frozen=True, tag="device", omit_defaults=True):
    """Something happened to a watched device."""

    device: str
    mode: str
    noise: NoisePrediction | None
    filter: str
    predicted_gain_db: float | None
    reason: str = ""


class JobUpdate(Response, frozen=True, tag="job", omit_defaults=True):
    """A recording of this socket's user is done or has failed; this may be said twice."""

    job: str
    name: str
    state: str
    summary: dict[str, Any]
    failure: str = ""


class Pong(Response, frozen=True, tag="pong"):
    """Here I am."""


class Error(Response, frozen=True, tag="error", omit_defaults=True):
    """Every refusal looks like this."""

    code: str
    message: str
    seq: int | None = None

    @classmethod
    def of(cls, refusal: Refused) -> "Error":
        """Wrap a refusal."""
        return cls(refusal.code, refusal.message, refusal.seq)


def parse_request(frame: str | None) -> AnyRequest:
    """Read a client's frame. Raises Refused."""
    text = frame or ""
    if len(text) > FRAME_LIMIT:
        refuse("too_large", f"frame: {len(text):,} bytes, at most {FRAME_LIMIT:,}; send shorter blocks")
    return parse_json(text, AnyRequest)


def encode(answer: Response) -> str:
    """Return the text frame of an answer."""
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
