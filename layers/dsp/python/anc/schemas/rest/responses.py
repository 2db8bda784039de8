"""Response bodies of the REST API. Times are in seconds since the epoch, levels in dBFS, attenuation in dB.

Those about sounds and recordings are in `anc.schemas.rest.audio_responses`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anc.headset_records import HeadsetMode
from anc.records import Role
from anc.schemas.websocket import Algorithm, SessionMode


class Response(BaseModel):
    """Base class of the response bodies. Can be built from any object with the same attributes."""

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
    code: Annotated[str, Field(description="Stable code for programs.")]
    detail: Annotated[str, Field(description="Explanation for people: the field and what is allowed.")]


class Page(Response):
    """A page of a list. Pass `next` as `after` to get the next page; null on the last page."""

    next: str | None


class Health(Response):
    """Health of the platform and of what it depends on."""

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
    """The caller."""

    user: Annotated[str, Field(description="User id; never reused.")]
    name: Annotated[str, Field(description="User name, or the user id if there is none.")]
    role: Role
    scopes: list[str] = []


class User(Response):
    """A user."""

    user: Annotated[str, Field(description="User id; never reused.")]
    role: Role
    name: str
    created: float


class Users(Page):
    """A page of users."""

    users: list[User]


class Key(Response):
    """An API key, without its secret."""

    id: str
    name: str
    role: Role
    scopes: list[str]
    created: float
    expires: float | None


class CreatedKey(Key):
    """A new API key. `key` is shown only once."""

    key: str


class SecondFactor(Response):
    """The secret of a new second factor. It is shown only once."""

    secret: Annotated[str, Field(description="For an authenticator app, in base32.")]
    uri: Annotated[str, Field(description="The same as an otpauth address, which apps read from a QR code.")]


class Keys(Response):
    """The caller's API keys."""

    keys: list[Key]


class AuditEntry(Response):
    """An administrative action."""

    at: float
    user: Annotated[str, Field(description="Id of the user who acted.")]
    name: Annotated[str, Field(description="Their user name at that time.")]
    api_key: Annotated[str, Field(description="Id of the API key used, or an empty string.")]
    action: Annotated[str, Field(description="For example `person.remove`.")]
    subject: Annotated[str, Field(description="The user, API key or headset that the action is about.")]
    detail: dict[str, str]


class AuditEntries(Page):
    """A page of the audit log, newest entries first."""

    entries: list[AuditEntry]


class Session(Response):
    """A live session. Its next block has the number `next_seq`."""

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
    """A page of the caller's sessions."""

    sessions: list[Session]


class SessionSummary(Response):
    """Totals of a session. `attenuation_db` is the ratio of energies; null before the first sound."""

    blocks: int
    seconds: float
    gaps: int
    attenuation_db: float | None
    filter_resets: int = 0


class Device(Response):
    """A registered headset. `name` is its display name, or an empty string."""

    thing: str
    name: str = ""
    tags: Annotated[list[str], Field(description="Given by operators.")] = []
    model: str
    rate: int
    taps: int
    max_gain_db: float
    lower_limit_hz: float
    secondary_taps: int
    created: float


class DeviceRefusal(Response):
    """A rejected message of a headset: what it was, an error code, an explanation, and when."""

    what: str
    code: str
    message: str
    at: float


class DeviceDetails(Device):
    """A headset with its connection state.

    `online` is null before the first connection; `since` is when the state last changed. `refused` counts
    rejected messages and `refusal` is the last one. `claim_refusal` is the last rejected claim to its name,
    which another device may have sent; `refusal` repeats it if no message was rejected.
    """

    online: bool | None
    since: float | None
    refused: int
    refusal: DeviceRefusal | None
    claim_refusal: DeviceRefusal | None = None


class Devices(Page):
    """A page of headsets."""

    devices: list[Device]


class Credentials(Response):
    """What a headset needs to connect: PEM texts, endpoint, port; and the environment in its topics."""

    certificate_id: str
    certificate: str
    private_key: str
    ca: str
    endpoint: str
    port: int
    environment: str = ""


class RegisteredDevice(Device):
    """A new headset. Its private key is shown only once."""

    credentials: Credentials


class Shadow(Response):
    """The shadow document of a headset."""

    state: dict[str, Any]
    version: int


class DesiredState(Response):
    """Desired state of a headset. Its shadow is updated within seconds."""

    mode: HeadsetMode
    intensity: float


class Telemetry(Response):
    """The latest telemetry report of a headset; nulls before the first."""

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
    """A page of telemetry reports."""

    reports: list[Telemetry]


class TrendInterval(Response):
    """Telemetry of an interval that begins at `at`; nulls where no report has a value.

    Attenuations are percentiles of all reports in the interval, `battery` is the lowest state of charge.
    """

    at: float
    reports: int
    attenuation_p10_db: float | None
    attenuation_median_db: float | None
    attenuation_p90_db: float | None
    level_median_dbfs: float | None
    battery: float | None


class TelemetryTrend(Response):
    """Telemetry over time, the oldest interval first; those without a report are left out.

    All reports from `complete_since` on are counted. It is later than `since` for a headset that sent more
    messages than one answer reads.
    """

    since: float
    until: float
    step_s: float
    complete_since: float
    intervals: list[TrendInterval]


class Paths(Response):
    """Secondary path of a headset as an impulse response, tap 0 first, at `rate` Hz."""

    rate: int
    secondary: list[float]


class DeviceModel(Response):
    """A headset model; its driver limits the gain of a control filter and works from `lower_limit_hz` on."""

    model: str
    rate: int
    taps: int
    max_gain_db: float
    lower_limit_hz: float
    secondary: list[float]
    serial_prefix: str


class Serials(Response):
    """Serial numbers that were added, and those that were already registered."""

    listed: list[str]
    known: list[str]


class DeviceModels(Page):
    """A page of headset models."""

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
    """Totals of all counted events."""

    totals: dict[str, int]


class Durations(Response):
    """Statistics of a duration. Quantiles are upper bounds of histogram bins; null above the last bin."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class IntervalDurations(Response):
    """Calls in an interval: their number, and percentiles within 2 %."""

    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


class PerformanceInterval(Response):
    """Operations in an interval that begins at `at`, by name; those without a call are left out."""

    at: float
    operations: dict[str, IntervalDurations]


class PerformanceHistory(Response):
    """Processing times over time, the oldest interval first; those without any call are left out.

    Times are known to the minute, those of more than two days ago to the hour: intervals are extended to
    whole minutes or hours, and begin at multiples of `step_s`. On AWS, they may be half an interval old.
    """

    since: float
    until: float
    step_s: float
    intervals: list[PerformanceInterval]


class Performance(Response):
    """Processing times of live blocks, snapshots and REST requests on the server.

    `history` is null if `since` is not given.
    """

    block: Durations
    snapshot: Durations
    rest: Durations
    history: PerformanceHistory | None = None
