"""The REST API's schemas. Generated from docs/openapi.json by `make client`: do not edit."""

# ruff: noqa: E501

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class AlarmSpan:
    """A section with an alarm sound."""

    from_s: float
    to_s: float
    kind: str
    score: float


@dataclass(frozen=True, kw_only=True)
class AttenuationDistribution:
    """Percentiles of the attenuation of headsets in dB; null without a measurement. Approximate on AWS."""

    p10_db: float | None
    median_db: float | None
    p90_db: float | None


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """An administrative action."""

    at: float
    user: str
    """Id of the user who acted."""

    name: str
    """Their user name at that time."""

    api_key: str
    """Id of the API key used, or an empty string."""

    action: str
    """For example `person.remove`."""

    subject: str
    """The user, API key or headset that the action is about."""

    detail: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ChannelLevels:
    """Levels of one channel in the unit of the analysis; `dc` is relative to full scale."""

    rms: float
    peak: float
    la_eq: float
    crest_db: float
    dc: float
    clipped_samples: int
    octaves: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The caller's password, and a code of the new second factor."""

    password: str
    code: str


@dataclass(frozen=True, kw_only=True)
class CreatedKey:
    """A new API key. `key` is shown only once."""

    id: str
    name: str
    role: Literal["listener", "operator", "admin"]
    scopes: list[str]
    created: float
    expires: float | None
    key: str


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a headset needs to connect: PEM texts, endpoint, port; and the environment in its topics."""

    certificate_id: str
    certificate: str
    private_key: str
    ca: str
    endpoint: str
    port: int
    environment: str = ""


@dataclass(frozen=True, kw_only=True)
class DesiredState:
    """Desired state of a headset. Its shadow is updated within seconds."""

    mode: Literal["cancel", "transparency", "bypass"]
    intensity: float


@dataclass(frozen=True, kw_only=True)
class Device:
    """A registered headset. `name` is its display name, or an empty string."""

    thing: str
    model: str
    rate: int
    taps: int
    max_gain_db: float
    lower_limit_hz: float
    secondary_taps: int
    created: float
    name: str = ""
    tags: list[str] = field(default_factory=list)
    """Given by operators."""


@dataclass(frozen=True, kw_only=True)
class DeviceChange:
    """A change of a headset's registration."""

    name: str
    """Display name; an empty one removes it. The name of the thing stays."""


@dataclass(frozen=True, kw_only=True)
class DeviceModel:
    """A headset model; its driver limits the gain of a control filter and works from `lower_limit_hz` on."""

    model: str
    rate: int
    taps: int
    max_gain_db: float
    lower_limit_hz: float
    secondary: list[float]
    serial_prefix: str


@dataclass(frozen=True, kw_only=True)
class DeviceModels:
    """A page of headset models."""

    next: str | None
    models: list[DeviceModel]


@dataclass(frozen=True, kw_only=True)
class DeviceProblem:
    """Why a headset was not changed: a code for programs, and a text for people."""

    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class DeviceRefusal:
    """A rejected message of a headset: what it was, an error code, an explanation, and when."""

    what: str
    code: str
    message: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Devices:
    """A page of headsets."""

    next: str | None
    devices: list[Device]


@dataclass(frozen=True, kw_only=True)
class Durations:
    """Statistics of a duration. Quantiles are upper bounds of histogram bins; null above the last bin."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Emergency:
    """Whether the sound contains an emergency. `reason` is set if detection failed, which counts as one."""

    active: bool
    score: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class EmergencyChange:
    """Changes to an emergency. Omitted fields keep their values."""

    acknowledged: bool | None = None
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class EmergencyDetection:
    """Emergency detection in a sound. If detection fails, the mode is `transparency`."""

    active: bool
    score: float
    mode: Literal["cancel", "transparency"]
    kinds: dict[str, float]
    truncated: bool = False
    note: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class EmergencyEvent:
    """
    An emergency that switched a headset or session to transparency.

    `owner_name`, `acknowledged_by` and `commented_by` are user names.
    """

    id: str
    owner: str
    owner_name: str
    source: str
    kind: str
    score: float
    at: float
    acknowledged: bool
    acknowledged_by: str | None
    acknowledged_at: float | None
    comment: str
    commented_by: str | None
    commented_at: float | None


@dataclass(frozen=True, kw_only=True)
class EmergencyEvents:
    """A page of emergencies. With conditions it may be shorter than `limit`, or empty, and not the last."""

    next: str | None
    events: list[EmergencyEvent]


@dataclass(frozen=True, kw_only=True)
class EmergencyStatus:
    """Whether an emergency holds any headset or session of the owner in transparency, and which."""

    active: bool
    sources: list[EmergencyEvent]


@dataclass(frozen=True, kw_only=True)
class FleetHeadset:
    """What the fleet index knows of a headset; null: not known yet."""

    thing: str
    name: str | None
    """Display name, empty without one."""

    tags: list[str]
    """Given by operators."""

    owner: str | None
    model: str | None
    online: bool | None
    """Null before the first connection."""

    since: float | None
    """When `online` last changed."""

    firmware: str | None
    noise: str | None
    """Label of the noise at the latest telemetry report."""

    attenuation_db: float | None
    """Last measured at the error microphone."""

    reverted: int | None
    """Filters reverted since power-on."""

    reverted_at: float | None
    """When a reverted filter was last reported."""

    refused: int | None
    """Refused messages of the headset."""

    refused_at: float | None
    """When the last message was refused."""


@dataclass(frozen=True, kw_only=True)
class FleetHeadsets:
    """A page of headsets."""

    next: str | None
    headsets: list[FleetHeadset]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A bearer token, valid for `expires_in` seconds."""

    token: str
    expires_in: int
    role: Literal["listener", "operator", "admin"]


@dataclass(frozen=True, kw_only=True)
class HeadsetConfig:
    """Configuration of a headset. Omitted fields keep their values."""

    snapshot_interval_s: float | None = None
    telemetry_interval_s: float | None = None
    private: bool | None = None
    """Send statistics instead of sound."""


@dataclass(frozen=True, kw_only=True)
class HeadsetGroup:
    """Headsets with the same value of a field."""

    value: str
    headsets: int
    attenuation: AttenuationDistribution


@dataclass(frozen=True, kw_only=True)
class Health:
    """Health of the platform and of what it depends on."""

    status: Literal["ok", "degraded", "failing"]
    live: bool
    ready: bool
    checks: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class IntervalDurations:
    """Calls in an interval: their number, and percentiles within 2 %."""

    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """A recording. `downloads` has links to the results by file name when the state is `done`."""

    job: str
    name: str
    state: Literal["uploading", "waiting", "running", "done", "failed"]
    progress: float
    size: int
    created: float
    failure: str
    summary: dict[str, Any]
    downloads: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """A page of the caller's recordings, without links."""

    next: str | None
    jobs: list[Job]


@dataclass(frozen=True, kw_only=True)
class Key:
    """An API key, without its secret."""

    id: str
    name: str
    role: Literal["listener", "operator", "admin"]
    scopes: list[str]
    created: float
    expires: float | None


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The caller's API keys."""

    keys: list[Key]


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Levels of one channel in dBFS and dBFS(A): overall, by second, and by third octave (centre in Hz)."""

    level_dbfs: float
    level_dbfs_a: float
    peak_dbfs: float
    clipped_samples: int
    by_second_dbfs: list[float]
    thirds_dbfs: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Me:
    """The caller."""

    user: str
    """User id; never reused."""

    name: str
    """User name, or the user id if there is none."""

    role: Literal["listener", "operator", "admin"]
    scopes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A classifier in use."""

    name: str
    sha256: str
    labels: list[str]
    kinds: list[str]
    threshold: float


@dataclass(frozen=True, kw_only=True)
class Models:
    """The classifiers in use."""

    models: list[Model]


@dataclass(frozen=True, kw_only=True)
class NewDevice:
    """A headset to register. Omitted fields are taken from its model."""

    thing: str
    secondary: list[float] | None = None
    model: str = "generic"
    rate: int | None = None
    taps: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewDeviceModel:
    """A headset model, as its manufacturer describes it."""

    secondary: list[float]
    """Secondary path S, from driver to error microphone, as an impulse response, tap 0 first. At least one tap must not be zero."""

    rate: int = 16000
    """Sample rate of the control filters in Hz."""

    taps: int = 512
    """Length of the control filters."""

    max_gain_db: float = 40.0
    """Highest gain that a control filter may have, in dB."""

    lower_limit_hz: float = 20.0
    """Lowest frequency at which the driver works, in Hz."""

    serial_prefix: str = ""
    """Prefix of the model's serial numbers; listeners cannot register such names."""


@dataclass(frozen=True, kw_only=True)
class NewFirmware:
    """Firmware for a headset to download, verify and keep for its boot loader."""

    version: str
    url: str
    """HTTPS URL of the image."""

    sha256: str
    size: int
    """Exact size in bytes."""


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """An API key to create. It has at most the rights of its owner."""

    name: str
    """Purpose of the key."""

    role: Literal["listener", "operator", "admin"] = "listener"
    scopes: list[str] = field(default_factory=list)
    """Families of endpoints that the key may call, such as `audio`, or `devices:read` for read-only access. Default: all that its role permits."""

    days: float = 90
    """Days until the key expires."""


@dataclass(frozen=True, kw_only=True)
class NewPath:
    """A measured secondary path, at the sample rate of the headset."""

    secondary: list[float]
    """Secondary path S, from driver to error microphone, as an impulse response, tap 0 first. At least one tap must not be zero."""

    rate: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewRole:
    """The new role of a user."""

    role: Literal["listener", "operator", "admin"]


@dataclass(frozen=True, kw_only=True)
class NewSerials:
    """Serial numbers of headsets that will claim their certificates."""

    serials: list[str]


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A live session to open. Omitted fields get the platform's defaults."""

    mode: Literal["cancel", "predict", "bypass"] = "cancel"
    algorithm: Literal["nlms", "fdaf"] = "nlms"
    rate: int | None = None
    channels: int | None = None
    taps: int | None = None
    mu: float = 0.5
    """Step size of the adaptive filter."""

    horizon: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewTelemetryReport:
    """A telemetry report of a headset, as over MQTT."""

    battery: float | None = None
    level_dbfs: float | None = None
    attenuation_db: float | None = None
    mode: Literal["cancel", "transparency", "bypass"] | None = None
    firmware: str | None = None
    filters: int | None = None
    reverted: int | None = None
    refused: str | None = None
    age_s: float = 0.0
    """Age of the report in seconds."""


@dataclass(frozen=True, kw_only=True)
class NewUser:
    """A user to create."""

    username: str
    password: str
    role: Literal["listener", "operator", "admin"] = "listener"


@dataclass(frozen=True, kw_only=True)
class NoiseSpan:
    """A section with one class of noise."""

    from_s: float
    to_s: float
    label: str
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Password:
    """The caller's password."""

    password: str


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Secondary path of a headset as an impulse response, tap 0 first, at `rate` Hz."""

    rate: int
    secondary: list[float]


@dataclass(frozen=True, kw_only=True)
class PerformanceInterval:
    """Operations in an interval that begins at `at`, by name; those without a call are left out."""

    at: float
    operations: dict[str, IntervalDurations]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """
    What a sound file contains, and what is done with its channels.

    `seconds` is null if the header does not give the length. `modes` has a text for each mode that the number
    of channels allows, `automatic` the one that is chosen by default.
    """

    format: str
    rate: int
    channels: int
    seconds: float | None
    automatic: Literal["cancel", "predict", "classify"]
    modes: dict[Literal["cancel", "predict", "classify"], str]


@dataclass(frozen=True, kw_only=True)
class ProcessingOptions:
    """How to process a recording. The default mode depends on the number of channels."""

    mode: Literal["cancel", "predict", "classify"] | None = None
    algorithm: Literal["fdaf", "nlms"] = "fdaf"
    taps: int = 512
    mu: float | None = None
    horizon: int = 1
    """Prediction horizon in samples, for `predict`."""


@dataclass(frozen=True, kw_only=True)
class RecordingReport:
    """Report on a processed recording. Fields of the result are null if it was only classified."""

    mode: str
    algorithm: str
    taps: int
    mu: float
    seconds: float
    rate: int
    channels: int
    before: Levels
    after: Levels | None
    attenuation_db: float | None
    attenuation_dba: float | None
    attenuation_last_half_db: float | None
    attenuation_by_second_db: list[float] | None
    noise: list[NoiseSpan] | None
    emergencies: list[AlarmSpan] | None
    truncated: bool = False
    note: str = ""
    filter_resets: int | None = None


@dataclass(frozen=True, kw_only=True)
class RegisteredDevice:
    """A new headset. Its private key is shown only once."""

    thing: str
    model: str
    rate: int
    taps: int
    max_gain_db: float
    lower_limit_hz: float
    secondary_taps: int
    created: float
    credentials: Credentials
    name: str = ""
    tags: list[str] = field(default_factory=list)
    """Given by operators."""


@dataclass(frozen=True, kw_only=True)
class Removals:
    """Headsets to remove."""

    things: list[str]
    """Names of headsets."""


@dataclass(frozen=True, kw_only=True)
class RolloutChange:
    """What to do with a rollout. A paused one gives no further headset its job, and is still watched."""

    action: Literal["pause", "resume", "cancel"]


@dataclass(frozen=True, kw_only=True)
class RolloutConditions:
    """Conditions on headsets; empty and null: none."""

    prefix: str = ""
    tag: str = ""
    owner: str = ""
    model: str = ""
    firmware: str = ""
    noise: str = ""
    online: bool | None = None
    attenuation_below: float | None = None
    refused_since: float | None = None
    reverted_since: float | None = None


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """Configuration that is rolled out; null: not changed."""

    snapshot_interval_s: float | None
    telemetry_interval_s: float | None
    private: bool | None


@dataclass(frozen=True, kw_only=True)
class RolloutCounts:
    """Number of headsets by status. A rejected one could not use the document; cancelled includes removed."""

    waiting: int = 0
    """Not started yet."""

    queued: int = 0
    """Not fetched by the headset yet."""

    in_progress: int = 0
    succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    timed_out: int = 0
    cancelled: int = 0


@dataclass(frozen=True, kw_only=True)
class RolloutFirmware:
    """Firmware that is rolled out."""

    version: str
    url: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class RolloutHeadset:
    """A headset of a rollout."""

    thing: str
    status: Literal[
        "waiting", "queued", "in_progress", "succeeded", "failed", "rejected", "timed_out", "cancelled"
    ]
    at: float | None
    """When the status changed; null for `waiting`."""

    before_db: float | None
    """Attenuation when the rollout was created."""


@dataclass(frozen=True, kw_only=True)
class RolloutHeadsets:
    """A page of the headsets of a rollout, the canary first."""

    next: str | None
    headsets: list[RolloutHeadset]


@dataclass(frozen=True, kw_only=True)
class RolloutQuery:
    """Conditions on headsets, all of which must hold, in any case. Without any: the whole fleet."""

    prefix: str = ""
    """Beginning of the name."""

    tag: str = ""
    """One of its tags."""

    owner: str = ""
    """Id of the owner."""

    model: str = ""
    firmware: str = ""
    """Running version."""

    noise: str = ""
    """Noise at the latest telemetry report."""

    online: bool | None = None
    """Whether it is connected; false includes headsets that never were."""

    attenuation_below: float | None = None
    """Only a measured attenuation below this, in dB."""

    refused_hours: float | None = None
    """A message was refused within so many hours."""

    reverted_hours: float | None = None
    """A filter was reverted within so many hours."""


@dataclass(frozen=True, kw_only=True)
class SecondFactor:
    """The secret of a new second factor. It is shown only once."""

    secret: str
    """For an authenticator app, in base32."""

    uri: str
    """The same as an otpauth address, which apps read from a QR code."""


@dataclass(frozen=True, kw_only=True)
class Serials:
    """Serial numbers that were added, and those that were already registered."""

    listed: list[str]
    known: list[str]


@dataclass(frozen=True, kw_only=True)
class Session:
    """A live session. Its next block has the number `next_seq`."""

    session: str
    mode: Literal["cancel", "predict", "bypass"]
    algorithm: Literal["nlms", "fdaf"]
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


@dataclass(frozen=True, kw_only=True)
class SessionChange:
    """Changes to a live session. Omitted fields keep their values."""

    enabled: bool | None = None
    intensity: float | None = None
    algorithm: Literal["nlms", "fdaf"] | None = None
    """Changing the algorithm resets the filter."""


@dataclass(frozen=True, kw_only=True)
class SessionSummary:
    """Totals of a session. `attenuation_db` is the ratio of energies; null before the first sound."""

    blocks: int
    seconds: float
    gaps: int
    attenuation_db: float | None
    filter_resets: int = 0


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """A page of the caller's sessions."""

    next: str | None
    sessions: list[Session]


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """The shadow document of a headset."""

    state: dict[str, Any]
    version: int


@dataclass(frozen=True, kw_only=True)
class ShadowChange:
    """Desired state of a headset. Omitted fields keep their values."""

    mode: Literal["cancel", "transparency", "bypass"] | None = None
    intensity: float | None = None
    config: HeadsetConfig | None = None
    firmware: NewFirmware | None = None
    """Requires the role `operator`."""


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """A user name and password, and for users with a second factor the code of their authenticator app."""

    username: str
    password: str
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class SoundFormat:
    """A sound file format: its name, file name suffixes, and media types (the preferred one first)."""

    name: str
    suffixes: list[str]
    media_types: list[str]


@dataclass(frozen=True, kw_only=True)
class TagChange:
    """Tags to add to headsets and to remove from them."""

    things: list[str]
    """Names of headsets."""

    add: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """The latest telemetry report of a headset; nulls before the first."""

    at: float | None
    battery: float | None = None
    level_dbfs: float | None = None
    attenuation_db: float | None = None
    mode: Literal["cancel", "transparency", "bypass"] | None = None
    firmware: str | None = None
    filters: int | None = None
    reverted: int | None = None
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class TelemetryHistory:
    """A page of telemetry reports."""

    next: str | None
    reports: list[Telemetry]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Totals of all counted events."""

    totals: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class TrendInterval:
    """
    Telemetry of an interval that begins at `at`; nulls where no report has a value.

    Attenuations are percentiles of all reports in the interval, `battery` is the lowest state of charge.
    """

    at: float
    reports: int
    attenuation_p10_db: float | None
    attenuation_median_db: float | None
    attenuation_p90_db: float | None
    level_median_dbfs: float | None
    battery: float | None


@dataclass(frozen=True, kw_only=True)
class Upload:
    """Upload links. PUT the whole file to a single link, or one part to each and then complete the upload."""

    job: str
    links: list[str]
    part_bytes: int
    expires: float


@dataclass(frozen=True, kw_only=True)
class UploadPart:
    """A part of an upload that has not arrived, numbered from 1, and its link."""

    number: int
    link: str


@dataclass(frozen=True, kw_only=True)
class User:
    """A user."""

    user: str
    """User id; never reused."""

    role: Literal["listener", "operator", "admin"]
    name: str
    created: float


@dataclass(frozen=True, kw_only=True)
class Users:
    """A page of users."""

    next: str | None
    users: list[User]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    """Stable code for programs."""

    detail: str
    """Explanation for people: the field and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class AcceptedSounds:
    """The formats and limits of sound files: in a request, and in an upload."""

    formats: list[SoundFormat]
    min_rate: int
    max_rate: int
    max_channels: int
    request_bytes: int
    request_seconds: float
    upload_bytes: int


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Acoustic levels of a sound. Without a calibration they are relative to full scale."""

    seconds: float
    rate: int
    unit: Literal["dBFS", "dB SPL"]
    a_weighted_unit: Literal["dBFS(A)", "dB(A)"]
    channels: list[ChannelLevels]
    truncated: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class AuditEntries:
    """A page of the audit log, newest entries first."""

    next: str | None
    entries: list[AuditEntry]


@dataclass(frozen=True, kw_only=True)
class Classification:
    """
    Classification of a noise. `kinds` are the scores of siren, horn and alarm.

    `model` and `sha256` name the model used: that of the endpoint, or the built-in one if there is no
    endpoint or it does not respond in time. `emergency` and `kinds` are the
    worst of both models: the endpoint may add an emergency, but not silence one.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    emergency: Emergency
    kinds: dict[str, float]
    model: str
    sha256: str
    answered_by: Literal["endpoint", "layer"]
    truncated: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class DeviceDetails:
    """
    A headset with its connection state.

    `online` is null before the first connection; `since` is when the state last changed. `refused` counts
    rejected messages and `refusal` is the last one. `claim_refusal` is the last rejected claim to its name,
    which another device may have sent; `refusal` repeats it if no message was rejected.
    """

    thing: str
    model: str
    rate: int
    taps: int
    max_gain_db: float
    lower_limit_hz: float
    secondary_taps: int
    created: float
    online: bool | None
    since: float | None
    refused: int
    refusal: DeviceRefusal | None
    name: str = ""
    tags: list[str] = field(default_factory=list)
    """Given by operators."""

    claim_refusal: DeviceRefusal | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceOutcome:
    """What a request did to one of its headsets."""

    thing: str
    changed: bool
    """False if it was already so."""

    tags: list[str] | None = None
    """After a change of tags."""

    problem: DeviceProblem | None = None
    """Null: done."""


@dataclass(frozen=True, kw_only=True)
class DeviceOutcomes:
    """What a request did to each of its headsets."""

    outcomes: list[DeviceOutcome]


@dataclass(frozen=True, kw_only=True)
class FleetDay:
    """The fleet at the beginning of a day (UTC)."""

    day: str
    """Date, such as 2026-11-30."""

    at: float
    """When it was recorded."""

    headsets: int
    attenuation: AttenuationDistribution
    groups: list[HeadsetGroup]
    """Up to eight, largest first."""


@dataclass(frozen=True, kw_only=True)
class FleetGroups:
    """Up to eight groups of each kind, largest first."""

    model: list[HeadsetGroup]
    firmware: list[HeadsetGroup]
    noise: list[HeadsetGroup]


@dataclass(frozen=True, kw_only=True)
class FleetHistory:
    """The recorded days, oldest first. A day on which the platform did not run is missing."""

    days: list[FleetDay]


@dataclass(frozen=True, kw_only=True)
class FleetOverview:
    """Totals of the matching headsets, their attenuation, and those with the lowest. At most a minute old."""

    headsets: int
    online: int
    refused: int
    """Headsets with a refused message in the last 24 hours."""

    reverted: int
    """Headsets that reverted a filter in the last 24 hours."""

    attenuation: AttenuationDistribution
    groups: FleetGroups
    worst: list[FleetHeadset]
    """Up to ten, lowest attenuation first."""


@dataclass(frozen=True, kw_only=True)
class NewRollout:
    """Firmware or configuration for the headsets of a query, in stages."""

    name: str
    firmware: NewFirmware | None = None
    """Either this or `config`."""

    config: HeadsetConfig | None = None
    """Either this or `firmware`. `private` must not be false."""

    query: RolloutQuery = field(
        default_factory=lambda: RolloutQuery(
            prefix="",
            tag="",
            owner="",
            model="",
            firmware="",
            noise="",
            online=None,
            attenuation_below=None,
            refused_hours=None,
            reverted_hours=None,
        )
    )
    things: list[str] = field(default_factory=list)
    """Names of headsets, instead of `query`."""

    canary_percent: float = 5.0
    """Share of the headsets that get it first."""

    soak_minutes: float = 60.0
    """Minutes from the end of the canary to the start of the others."""

    per_minute: int = 100
    """Most headsets to start in a minute."""

    max_failed_percent: float = 5.0
    """Stop when more failed: of those that finished, and at least of the canary."""

    max_drop_db: float = 2.0
    """Stop when the attenuation of updated headsets fell by more than that of the others."""


@dataclass(frozen=True, kw_only=True)
class NewUpload:
    """A recording to upload."""

    size: int
    """Exact size in bytes."""

    name: str = "recording"
    options: ProcessingOptions = field(
        default_factory=lambda: ProcessingOptions(mode=None, algorithm="fdaf", taps=512, mu=None, horizon=1)
    )


@dataclass(frozen=True, kw_only=True)
class PerformanceHistory:
    """
    Processing times over time, the oldest interval first; those without any call are left out.

    Times are known to the minute, those of more than two days ago to the hour: intervals are extended to
    whole minutes or hours, and begin at multiples of `step_s`. On AWS, they may be half an interval old.
    """

    since: float
    until: float
    step_s: float
    intervals: list[PerformanceInterval]


@dataclass(frozen=True, kw_only=True)
class ProcessedSound:
    """A processed recording. `audio` is a WAV file in base64, empty if it was only classified."""

    report: RecordingReport
    audio: str


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A rollout: what, to whom, by whom, and how far."""

    id: str
    name: str
    firmware: RolloutFirmware | None
    config: RolloutConfig | None
    query: RolloutConditions
    things: list[str]
    """The chosen headsets; empty: those of `query`."""

    canary_percent: float
    soak_minutes: float
    per_minute: int
    max_failed_percent: float
    max_drop_db: float
    state: Literal["active", "paused", "done", "stopped", "cancelled"]
    """`stopped`: by the platform, see `reason`."""

    stage: Literal["planning", "canary", "fleet"]
    reason: str
    """Why it was stopped, as text for people."""

    created: float
    created_by: str
    """Sign-in name."""

    changed: float
    changed_by: str | None
    """Sign-in name; null: the platform."""

    headsets: int
    canary: int
    """Headsets that get it first; 0 before the first step."""

    counts: RolloutCounts
    updated_change_db: float | None
    """Median change of the attenuation of updated headsets."""

    other_change_db: float | None
    """The same of headsets that have not got it yet."""

    measured: int
    """Updated headsets that have reported an attenuation."""


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """A page of rollouts, the newest first."""

    next: str | None
    rollouts: list[Rollout]


@dataclass(frozen=True, kw_only=True)
class TelemetryTrend:
    """
    Telemetry over time, the oldest interval first; those without a report are left out.

    All reports from `complete_since` on are counted. It is later than `since` for a headset that sent more
    messages than one answer reads.
    """

    since: float
    until: float
    step_s: float
    complete_since: float
    intervals: list[TrendInterval]


@dataclass(frozen=True, kw_only=True)
class UnfinishedUpload:
    """The parts that an interrupted upload still has to send, each of `part_bytes` but the last."""

    job: str
    size: int
    part_bytes: int
    missing: list[UploadPart]
    expires: float


@dataclass(frozen=True, kw_only=True)
class Performance:
    """
    Processing times of live blocks, snapshots and REST requests on the server.

    `history` is null if `since` is not given.
    """

    block: Durations
    snapshot: Durations
    rest: Durations
    history: PerformanceHistory | None = None


__version__ = "1.0.0"
