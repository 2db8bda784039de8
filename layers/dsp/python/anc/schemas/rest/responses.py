"""Bodies that the REST API answers. Times are seconds since the epoch, levels dBFS, attenuation dB.

Those about sounds and recordings are in `anc.schemas.rest.audio_responses`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anc.records import HeadsetMode, Role
from anc.schemas.websocket import Algorithm, SessionMode


class Response(BaseModel):
    """What every answer has: it may be read off any object with these attributes."""

    model_config = ConfigDict(from_attributes=True)


class Problem(Response):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Bad Request",
                    "status": 400,
                    "code": "bad_field",
                    "detail": "taps: must be at most 4096 (got 9000)",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    code: Annotated[str, Field(description="Stable, for programs.")]
    detail: Annotated[str, Field(description="Names the field and what is allowed.")]


class Page(Response):
    """A part of a list. `next` is what to ask `after` for the next part; null at the end."""

    next: str | None


class Health(Response):
    """Whether the platform lives and may be sent requests, and the state of what it depends on."""

    status: Literal["ok", "degraded", "failing"]
    live: bool
    ready: bool
    checks: dict[str, str]


class Grant(Response):
    """A bearer token, valid for `expires_in` seconds."""

    token: str
    expires_in: int
    role: Role


class Me(Response):
    """Who is calling."""

    user: Annotated[str, Field(description="The id; never given to anybody else.")]
    name: Annotated[str, Field(description="What they sign in with; the id of who has no name here.")]
    role: Role
    scopes: list[str] = []


class Person(Response):
    """Somebody who may sign in."""

    user: Annotated[str, Field(description="The id; never given to anybody else.")]
    role: Role
    name: str
    created: float


class People(Page):
    """Part of the people."""

    users: list[Person]


class Key(Response):
    """An API key, without its secret."""

    id: str
    name: str
    role: Role
    scopes: list[str]
    created: float
    expires: float | None


class CreatedKey(Key):
    """An API key that was just made. `key` is shown this once."""

    key: str


class Keys(Response):
    """The caller's API keys."""

    keys: list[Key]


class AuditEntry(Response):
    """An administrative act."""

    at: float
    user: Annotated[str, Field(description="Who acted.")]
    name: Annotated[str, Field(description="What they signed in with then.")]
    api_key: Annotated[str, Field(description="Id of the API key that was used; empty for none.")]
    action: Annotated[str, Field(description="As `person.remove`.")]
    subject: Annotated[str, Field(description="The person, key or headset concerned.")]
    detail: dict[str, str]


class AuditEntries(Page):
    """Part of the audit log."""

    entries: list[AuditEntry]


class Session(Response):
    """A live session; its next block is to be `next_seq`."""

    session: str
    mode: SessionMode
    algorithm: Algorithm
    rate: int
    channels: int
    taps: int
    mu: float
    horizon: int
    enabled: bool
    intensity: float
    next_seq: int
    created: float
    expires: float | None


class Sessions(Page):
    """Part of the caller's sessions."""

    sessions: list[Session]


class SessionSummary(Response):
    """A session so far; attenuation is of energies, null before the first sound."""

    blocks: int
    seconds: float
    gaps: int
    attenuation_db: float | None
    filter_resets: int = 0


class Device(Response):
    """A registered headset."""

    thing: str
    model: str
    rate: int
    taps: int
    max_gain_db: float
    secondary_taps: int
    created: float


class DeviceRefusal(Response):
    """What of a headset was refused: snapshot, telemetry or shadow; why, for programs and people; when."""

    what: str
    code: str
    message: str
    at: float


class DeviceDetails(Device):
    """A headset as it is now.

    `online` since when, or not; null before it ever connected. `refused` counts what was refused of it,
    `refusal` is the last of that. `claim_refusal` is the last refused claim to its name, which may be
    somebody else's doing; `refusal` shows it too as long as there is nothing else.
    """

    online: bool | None
    since: float | None
    refused: int
    refusal: DeviceRefusal | None
    claim_refusal: DeviceRefusal | None = None


class Devices(Page):
    """Part of somebody's headsets."""

    devices: list[Device]


class Credentials(Response):
    """What a headset connects with, as PEM texts."""

    certificate_id: str
    certificate: str
    private_key: str
    ca: str
    endpoint: str
    port: int


class RegisteredDevice(Device):
    """A headset that was just registered. Its private key is shown this once."""

    credentials: Credentials


class Shadow(Response):
    """The shadow document of a headset."""

    state: dict[str, Any]
    version: int


class DesiredState(Response):
    """What is wanted of a headset; its shadow follows within seconds."""

    mode: HeadsetMode
    intensity: float


class Telemetry(Response):
    """What a headset said of itself last, and when; nulls before it said anything."""

    at: float | None
    battery: float | None = None
    level_dbfs: float | None = None
    attenuation_db: float | None = None
    mode: HeadsetMode | None = None
    firmware: str | None = None
    filters: int | None = None
    reverted: int | None = None
    refused: str | None = None


class TelemetryHistory(Page):
    """Part of what a headset said of itself."""

    reports: list[Telemetry]


class Paths(Response):
    """The secondary path of a headset, as an impulse response at `rate` Hz."""

    rate: int
    secondary: list[float]


class DeviceModel(Response):
    """A kind of headset; `max_gain_db` is the most that a control filter may boost."""

    model: str
    rate: int
    taps: int
    max_gain_db: float
    secondary: list[float]
    serial_prefix: str


class Serials(Response):
    """Serial numbers that are expected from now on, and those that were in the registry already."""

    listed: list[str]
    known: list[str]


class DeviceModels(Page):
    """Part of the kinds of headsets."""

    models: list[DeviceModel]


class Model(Response):
    """A classifier in use."""

    name: str
    sha256: str
    labels: list[str]
    kinds: list[str]
    threshold: float


class Models(Response):
    """The classifiers in use."""

    models: list[Model]


class Totals(Response):
    """How often everything happened so far."""

    totals: dict[str, int]


class Durations(Response):
    """How long something took; quantiles are the upper ends of the histogram's bins, null over the last."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class Performance(Response):
    """How long blocks of live sessions, snapshots and REST requests took on the server."""

    block: Durations
    snapshot: Durations
    rest: Durations
