"""Bodies that the REST API answers. Times are seconds since the epoch, levels dBFS, attenuation dB."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anc.records import Mode, Role
from anc.wire.websocket import Algorithm, SessionMode


class Answer(BaseModel):
    """What every answer has: it may be read off any object with these attributes."""

    model_config = ConfigDict(from_attributes=True)


class Problem(Answer):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    code: Annotated[str, Field(description="Stable, for programs.", examples=["bad_field"])]
    detail: Annotated[str, Field(description="Names the field and what is allowed.")]


class Page(Answer):
    """A part of a list. `next` is what to ask `after` for the next part; null at the end."""

    next: str | None


class Health(Answer):
    """Whether the platform lives and may be sent requests, and the state of what it depends on."""

    status: Literal["ok", "degraded", "failing"]
    live: bool
    ready: bool
    checks: dict[str, str]


class Grant(Answer):
    """A bearer token, valid for `expires_in` seconds."""

    token: str
    expires_in: int
    role: Role


class Me(Answer):
    """Who is calling."""

    user: str
    role: Role
    scopes: list[str] = []


class Person(Answer):
    """Somebody who may sign in."""

    user: str
    role: Role
    name: str
    created: float


class People(Page):
    """Part of the people."""

    users: list[Person]


class Key(Answer):
    """An API key, without its secret."""

    id: str
    name: str
    role: Role
    scopes: list[str]
    created: float
    expires: float | None


class MadeKey(Key):
    """An API key that was just made. `key` is shown this once."""

    key: str


class Keys(Answer):
    """The caller's API keys."""

    keys: list[Key]


class Session(Answer):
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


class SessionSummary(Answer):
    """A session so far; attenuation is of energies, null before the first sound."""

    blocks: int
    seconds: float
    gaps: int
    attenuation_db: float | None


class Device(Answer):
    """A registered headset."""

    thing: str
    model: str
    rate: int
    taps: int
    max_gain_db: float
    secondary_taps: int
    created: float


class Refusal(Answer):
    """What of a headset was refused: snapshot, telemetry or shadow; why, for programs and people; when."""

    what: str
    code: str
    message: str
    at: float


class DeviceNow(Device):
    """A headset as it is now.

    `online` since when, or not; null before it ever connected. `refused` counts what was refused of it.
    """

    online: bool | None
    since: float | None
    refused: int
    refusal: Refusal | None


class Devices(Page):
    """Part of somebody's headsets."""

    devices: list[Device]


class Credentials(Answer):
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


class Shadow(Answer):
    """The shadow document of a headset."""

    state: dict[str, Any]
    version: int


class Wanted(Answer):
    """What is wanted of a headset; its shadow follows within seconds."""

    mode: Mode
    intensity: float


class Telemetry(Answer):
    """What a headset said of itself last, and when; nulls before it said anything."""

    at: float | None
    battery: float | None = None
    level_dbfs: float | None = None
    attenuation_db: float | None = None
    mode: Mode | None = None
    firmware: str | None = None
    filters: int | None = None
    reverted: int | None = None
    refused: str | None = None


class History(Page):
    """Part of what a headset said of itself."""

    reports: list[Telemetry]


class Paths(Answer):
    """The secondary path of a headset, as an impulse response at `rate` Hz."""

    rate: int
    secondary: list[float]


class DeviceModel(Answer):
    """A kind of headset; `max_gain_db` is the most that a control filter may boost."""

    model: str
    rate: int
    taps: int
    max_gain_db: float
    secondary: list[float]


class Serials(Answer):
    """Serial numbers that are expected from now on, and those that were in the registry already."""

    listed: list[str]
    known: list[str]


class DeviceModels(Page):
    """Part of the kinds of headsets."""

    models: list[DeviceModel]


class Emergency(Answer):
    """Whether an alarm is heard. `reason` when the answer is yes for want of hearing."""

    active: bool
    score: float
    reason: str = ""


class Classification(Answer):
    """What a noise is. `kinds` are the scores of siren, horn and alarm.

    `model` and `sha256` name the model that says so: the endpoint's larger one, or the layer's own where
    there is no endpoint or it does not answer in time. Emergency and kinds are always the layer's word.
    """

    model_config = ConfigDict(from_attributes=True, extra="allow")

    label: str
    confidence: float
    probabilities: dict[str, float]
    emergency: Emergency
    kinds: dict[str, float]
    model: str
    sha256: str
    answered_by: Literal["endpoint", "layer"]


class Levels(Answer):
    """One channel: levels in dBFS and dBFS(A), of seconds and of third octaves (by centre in Hz) as well."""

    level_dbfs: float
    level_dbfs_a: float
    peak_dbfs: float
    clipped_samples: int
    by_second_dbfs: list[float]
    thirds_dbfs: dict[str, float]


class NoiseSpan(Answer):
    """A stretch of one kind of noise."""

    from_s: float
    to_s: float
    label: str
    confidence: float


class AlarmSpan(Answer):
    """A stretch in which an alarm was heard."""

    from_s: float
    to_s: float
    kind: str
    score: float


class Report(Answer):
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


class Processed(Answer):
    """A recording that was treated: `audio` is a wav file in base64, empty when the noise was only named."""

    report: Report
    audio: str


class Upload(Answer):
    """How to send a recording: PUT it whole to the one link, or a part to each and then complete it."""

    job: str
    links: list[str]
    part_bytes: int
    expires: float


class Job(Answer):
    """A recording on its way; `downloads` are links to the results by name, once it is done."""

    job: str
    name: str
    state: Literal["uploading", "waiting", "running", "done", "failed"]
    progress: Annotated[float, Field(ge=0, le=1)]
    size: int
    created: float
    failure: str
    summary: dict[str, Any]
    downloads: dict[str, str]


class Jobs(Page):
    """Part of the caller's recordings; the links are at each one's own path."""

    jobs: list[Job]


class Channel(Answer):
    """One channel of a sound: levels in the analysis's unit, `dc` of full scale, octaves by centre in Hz."""

    rms: float
    peak: float
    la_eq: float
    crest_db: float
    dc: float
    clipped_samples: int
    octaves: dict[str, float]


class Analysis(Answer):
    """What a sound measures. Without a calibration its levels are of full scale."""

    seconds: float
    rate: int
    unit: Literal["dBFS", "dB SPL"]
    a_weighted_unit: Literal["dBFS(A)", "dB(A)"]
    channels: list[Channel]


class Detection(Emergency):
    """Whether a headset in this sound should be open to the world; on any doubt it should."""

    mode: Literal["cancel", "transparency"]
    kinds: dict[str, float]


class EmergencyEvent(Answer):
    """An alarm that opened a headset or a session."""

    id: str
    source: str
    kind: str
    score: float
    at: float


class EmergencyEvents(Page):
    """Part of the caller's emergencies, the oldest first."""

    events: list[EmergencyEvent]


class EmergencyStatus(Answer):
    """Whether anything of the caller's is held open by an alarm now, and what."""

    active: bool
    sources: list[EmergencyEvent]


class Model(Answer):
    """A classifier in use."""

    name: str
    sha256: str
    labels: list[str]
    kinds: list[str]
    threshold: float


class Models(Answer):
    """The classifiers in use."""

    models: list[Model]


class Totals(Answer):
    """How often everything happened so far."""

    totals: dict[str, int]


class Durations(Answer):
    """How long something took; quantiles are the upper ends of the histogram's bins, null over the last."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class Performance(Answer):
    """How long blocks of live sessions, snapshots and REST requests took on the server."""

    block: Durations
    snapshot: Durations
    rest: Durations
