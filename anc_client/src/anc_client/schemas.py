"""The REST API's schemas. Generated from docs/openapi.json by `make client`: do not edit."""

# ruff: noqa: E501

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class AlarmSpan:
    """A stretch in which an alarm was heard."""

    from_s: float
    to_s: float
    kind: str
    score: float


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """An administrative act."""

    at: float
    user: str
    """Who acted."""

    name: str
    """What they signed in with then."""

    api_key: str
    """Id of the API key that was used; empty for none."""

    action: str
    """As `person.remove`."""

    subject: str
    """The person, key or headset concerned."""

    detail: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ChannelLevels:
    """One channel of a sound: levels in the analysis's unit, `dc` of full scale, octaves by centre in Hz."""

    rms: float
    peak: float
    la_eq: float
    crest_db: float
    dc: float
    clipped_samples: int
    octaves: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CreatedKey:
    """An API key that was just made. `key` is shown this once."""

    id: str
    name: str
    role: Literal["listener", "operator", "admin"]
    scopes: list[str]
    created: float
    expires: float | None
    key: str


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a headset connects with, as PEM texts."""

    certificate_id: str
    certificate: str
    private_key: str
    ca: str
    endpoint: str
    port: int


@dataclass(frozen=True, kw_only=True)
class DesiredState:
    """What is wanted of a headset; its shadow follows within seconds."""

    mode: Literal["cancel", "transparency", "bypass"]
    intensity: float


@dataclass(frozen=True, kw_only=True)
class Device:
    """A registered headset."""

    thing: str
    model: str
    rate: int
    taps: int
    max_gain_db: float
    secondary_taps: int
    created: float


@dataclass(frozen=True, kw_only=True)
class DeviceModel:
    """A kind of headset; `max_gain_db` is the most that a control filter may boost."""

    model: str
    rate: int
    taps: int
    max_gain_db: float
    secondary: list[float]
    serial_prefix: str


@dataclass(frozen=True, kw_only=True)
class DeviceModels:
    """Part of the kinds of headsets."""

    next: str | None
    models: list[DeviceModel]


@dataclass(frozen=True, kw_only=True)
class DeviceRefusal:
    """What of a headset was refused: snapshot, telemetry or shadow; why, for programs and people; when."""

    what: str
    code: str
    message: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Part of somebody's headsets."""

    next: str | None
    devices: list[Device]


@dataclass(frozen=True, kw_only=True)
class Durations:
    """How long something took; quantiles are the upper ends of the histogram's bins, null over the last."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Emergency:
    """Whether an alarm is heard. `reason` when the answer is yes for want of hearing."""

    active: bool
    score: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class EmergencyDetection:
    """Whether a headset in this sound should be open to the world; on any doubt it should."""

    active: bool
    score: float
    mode: Literal["cancel", "transparency"]
    kinds: dict[str, float]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class EmergencyEvent:
    """An alarm that opened a headset or a session."""

    id: str
    source: str
    kind: str
    score: float
    at: float


@dataclass(frozen=True, kw_only=True)
class EmergencyEvents:
    """Part of the caller's emergencies, the oldest first."""

    next: str | None
    events: list[EmergencyEvent]


@dataclass(frozen=True, kw_only=True)
class EmergencyStatus:
    """Whether anything of the caller's is held open by an alarm now, and what."""

    active: bool
    sources: list[EmergencyEvent]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A bearer token, valid for `expires_in` seconds."""

    token: str
    expires_in: int
    role: Literal["listener", "operator", "admin"]


@dataclass(frozen=True, kw_only=True)
class HeadsetConfig:
    """How a headset is to go about it. What is left out stays."""

    snapshot_interval_s: float | None = None
    telemetry_interval_s: float | None = None
    private: bool | None = None
    """Send statistics in place of sound."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the platform lives and may be sent requests, and the state of what it depends on."""

    status: Literal["ok", "degraded", "failing"]
    live: bool
    ready: bool
    checks: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A recording on its way; `downloads` are links to the results by name, once it is done."""

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
    """Part of the caller's recordings; the links are at each one's own path."""

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
    """One channel: levels in dBFS and dBFS(A), of seconds and of third octaves (by centre in Hz) as well."""

    level_dbfs: float
    level_dbfs_a: float
    peak_dbfs: float
    clipped_samples: int
    by_second_dbfs: list[float]
    thirds_dbfs: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Me:
    """Who is calling."""

    user: str
    """The id; never given to anybody else."""

    name: str
    """What they sign in with; the id of who has no name here."""

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
    """A headset to be registered. What is left out is as its model was described."""

    thing: str
    secondary: list[float] | None = None
    model: str = "generic"
    rate: int | None = None
    taps: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewDeviceModel:
    """A kind of headset, as its maker describes it."""

    secondary: list[float]
    """The secondary path S, driver to error microphone, as an impulse response; not silent."""

    rate: int = 16000
    """Hz of its control filters."""

    taps: int = 512
    """Of its control filters."""

    max_gain_db: float = 40.0
    """What its driver takes."""

    serial_prefix: str = ""
    """How serial numbers of the model begin: listeners cannot register such names."""


@dataclass(frozen=True, kw_only=True)
class NewFirmware:
    """A firmware that a headset shall fetch, check and keep for its loader."""

    version: str
    url: str
    """HTTPS."""

    sha256: str
    size: int
    """Bytes, exactly."""


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """An API key for a machine; it has at most the rights of its owner."""

    name: str
    """What it is for."""

    role: Literal["listener", "operator", "admin"] = "listener"
    scopes: list[str] = field(default_factory=list)
    """What it may call below `/api`, as `audio`, or `devices:read` for looking only. Left out, all that its role may."""

    days: float = 90
    """Days until the key expires."""


@dataclass(frozen=True, kw_only=True)
class NewPath:
    """A secondary path that was measured, at the device's rate."""

    secondary: list[float]
    """The secondary path S, driver to error microphone, as an impulse response; not silent."""

    rate: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewPerson:
    """Somebody who shall be able to sign in."""

    username: str
    password: str
    role: Literal["listener", "operator", "admin"] = "listener"


@dataclass(frozen=True, kw_only=True)
class NewRole:
    """What somebody may do from now on."""

    role: Literal["listener", "operator", "admin"]


@dataclass(frozen=True, kw_only=True)
class NewSerials:
    """Serial numbers of headsets that will come for their certificate themselves."""

    serials: list[str]


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A live session. What is left out is the platform's choice."""

    mode: Literal["cancel", "predict", "bypass"] = "cancel"
    algorithm: Literal["nlms", "fdaf"] = "nlms"
    rate: int | None = None
    channels: int | None = None
    taps: int | None = None
    mu: float = 0.5
    """Step size."""

    horizon: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewTelemetryReport:
    """What a headset says of itself; the same as over MQTT."""

    battery: float | None = None
    level_dbfs: float | None = None
    attenuation_db: float | None = None
    mode: Literal["cancel", "transparency", "bypass"] | None = None
    firmware: str | None = None
    filters: int | None = None
    reverted: int | None = None
    refused: str | None = None
    age_s: float = 0.0
    """How long ago this was so."""


@dataclass(frozen=True, kw_only=True)
class NoiseSpan:
    """A stretch of one kind of noise."""

    from_s: float
    to_s: float
    label: str
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Paths:
    """The secondary path of a headset, as an impulse response at `rate` Hz."""

    rate: int
    secondary: list[float]


@dataclass(frozen=True, kw_only=True)
class Performance:
    """How long blocks of live sessions, snapshots and REST requests took on the server."""

    block: Durations
    snapshot: Durations
    rest: Durations


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who may sign in."""

    user: str
    """The id; never given to anybody else."""

    role: Literal["listener", "operator", "admin"]
    name: str
    created: float


@dataclass(frozen=True, kw_only=True)
class ProcessingOptions:
    """What shall be done with a recording; what is left out goes by its channels."""

    mode: Literal["cancel", "predict", "classify"] | None = None
    algorithm: Literal["fdaf", "nlms"] = "fdaf"
    taps: int = 512
    mu: float | None = None
    horizon: int = 1
    """Samples ahead, for `predict`."""


@dataclass(frozen=True, kw_only=True)
class RecordingReport:
    """What was done with a recording and what came of it; nulls when the noise was only named."""

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
    filter_resets: int | None = None


@dataclass(frozen=True, kw_only=True)
class RegisteredDevice:
    """A headset that was just registered. Its private key is shown this once."""

    thing: str
    model: str
    rate: int
    taps: int
    max_gain_db: float
    secondary_taps: int
    created: float
    credentials: Credentials


@dataclass(frozen=True, kw_only=True)
class Serials:
    """Serial numbers that are expected from now on, and those that were in the registry already."""

    listed: list[str]
    known: list[str]


@dataclass(frozen=True, kw_only=True)
class Session:
    """A live session; its next block is to be `next_seq`."""

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
    """What shall be different about a live session. What is left out stays."""

    enabled: bool | None = None
    intensity: float | None = None
    algorithm: Literal["nlms", "fdaf"] | None = None
    """Another one starts from nothing."""


@dataclass(frozen=True, kw_only=True)
class SessionSummary:
    """A session so far; attenuation is of energies, null before the first sound."""

    blocks: int
    seconds: float
    gaps: int
    attenuation_db: float | None
    filter_resets: int = 0


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Part of the caller's sessions."""

    next: str | None
    sessions: list[Session]


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """The shadow document of a headset."""

    state: dict[str, Any]
    version: int


@dataclass(frozen=True, kw_only=True)
class ShadowChange:
    """What is wanted of a headset. What is left out stays."""

    mode: Literal["cancel", "transparency", "bypass"] | None = None
    intensity: float | None = None
    config: HeadsetConfig | None = None
    firmware: NewFirmware | None = None
    """For operators."""


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """Who signs in."""

    username: str
    password: str


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """What a headset said of itself last, and when; nulls before it said anything."""

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
    """Part of what a headset said of itself."""

    next: str | None
    reports: list[Telemetry]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """How often everything happened so far."""

    totals: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Upload:
    """How to send a recording: PUT it whole to the one link, or a part to each and then complete it."""

    job: str
    links: list[str]
    part_bytes: int
    expires: float


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    """Stable, for programs."""

    detail: str
    """Names the field and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a sound measures. Without a calibration its levels are of full scale."""

    seconds: float
    rate: int
    unit: Literal["dBFS", "dB SPL"]
    a_weighted_unit: Literal["dBFS(A)", "dB(A)"]
    channels: list[ChannelLevels]


@dataclass(frozen=True, kw_only=True)
class AuditEntries:
    """Part of the audit log."""

    next: str | None
    entries: list[AuditEntry]


@dataclass(frozen=True, kw_only=True)
class Classification:
    """
    What a noise is. `kinds` are the scores of siren, horn and alarm.

    `model` and `sha256` name the model that says so: the endpoint's larger one, or the layer's own where
    there is no endpoint or it does not answer in time. Emergency and kinds are always the layer's word.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    emergency: Emergency
    kinds: dict[str, float]
    model: str
    sha256: str
    answered_by: Literal["endpoint", "layer"]


@dataclass(frozen=True, kw_only=True)
class DeviceDetails:
    """
    A headset as it is now.

    `online` since when, or not; null before it ever connected. `refused` counts what was refused of it,
    `refusal` is the last of that. `claim_refusal` is the last refused claim to its name, which may be
    somebody else's doing; `refusal` shows it too as long as there is nothing else.
    """

    thing: str
    model: str
    rate: int
    taps: int
    max_gain_db: float
    secondary_taps: int
    created: float
    online: bool | None
    since: float | None
    refused: int
    refusal: DeviceRefusal | None
    claim_refusal: DeviceRefusal | None = None


@dataclass(frozen=True, kw_only=True)
class NewUpload:
    """A recording that will be uploaded."""

    size: int
    """Bytes, exactly."""

    name: str = "recording"
    options: ProcessingOptions = field(
        default_factory=lambda: ProcessingOptions(mode=None, algorithm="fdaf", taps=512, mu=None, horizon=1)
    )


@dataclass(frozen=True, kw_only=True)
class People:
    """Part of the people."""

    next: str | None
    users: list[Person]


@dataclass(frozen=True, kw_only=True)
class ProcessedSound:
    """A recording that was treated: `audio` is a wav file in base64, empty when the noise was only named."""

    report: RecordingReport
    audio: str


__version__ = "1.0.0"
