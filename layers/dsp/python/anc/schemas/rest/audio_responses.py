"""Response bodies about sounds and recordings: classifications, levels, reports, uploads and emergencies.

Times are in seconds since the epoch, levels in dBFS, attenuation in dB.
"""

import base64
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from anc.schemas.rest.responses import Page, Response


class Emergency(Response):
    """Whether the sound contains an emergency. `reason` is set if detection failed, which counts as one."""

    active: bool
    score: float
    reason: str = ""


class FromFile(Response):
    """What of the sound file was read. `note` says what is missing if a part could not be decoded."""

    truncated: bool = False
    note: str = ""


class Classification(FromFile):
    """Classification of a noise. `kinds` are the scores of siren, horn and alarm.

    `model` and `sha256` name the model used: that of the endpoint, or the built-in one if there is no
    endpoint or it does not respond in time. `emergency` and `kinds` are the
    worst of both models: the endpoint may add an emergency, but not silence one.
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


class Levels(Response):
    """Levels of one channel in dBFS and dBFS(A): overall, by second, and by third octave (centre in Hz)."""

    level_dbfs: float
    level_dbfs_a: float
    peak_dbfs: float
    clipped_samples: int
    by_second_dbfs: list[float]
    thirds_dbfs: dict[str, float]


class NoiseSpan(Response):
    """A section with one class of noise."""

    from_s: float
    to_s: float
    label: str
    confidence: float


class AlarmSpan(Response):
    """A section with an alarm sound."""

    from_s: float
    to_s: float
    kind: str
    score: float


class RecordingReport(FromFile):
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
    filter_resets: int | None = None
    noise: list[NoiseSpan] | None
    emergencies: list[AlarmSpan] | None


class ProcessedSound(Response):
    """A processed recording. `audio` is a WAV file in base64, empty if it was only classified."""

    report: RecordingReport
    audio: str

    @property
    def wav(self) -> bytes:
        """The WAV file."""
        return base64.b64decode(self.audio)


class Upload(Response):
    """Upload links. PUT the whole file to a single link, or one part to each and then complete the upload."""

    job: str
    links: list[str]
    part_bytes: int
    expires: float


class UploadPart(Response):
    """A part of an upload that has not arrived, numbered from 1, and its link."""

    number: int
    link: str


class UnfinishedUpload(Response):
    """The parts that an interrupted upload still has to send, each of `part_bytes` but the last."""

    job: str
    size: int
    part_bytes: int
    missing: list[UploadPart]
    expires: float


class SoundFormat(Response):
    """A sound file format: its name, file name suffixes, and media types (the preferred one first)."""

    name: str
    suffixes: list[str]
    media_types: list[str]


class AcceptedSounds(Response):
    """The formats and limits of sound files: in a request, and in an upload."""

    formats: list[SoundFormat]
    min_rate: int
    max_rate: int
    max_channels: int
    request_bytes: int
    request_seconds: float
    upload_bytes: int


class Preview(Response):
    """What a sound file contains, and what is done with its channels.

    `seconds` is null if the header does not give the length. `modes` has a text for each mode that the number
    of channels allows, `automatic` the one that is chosen by default.
    """

    format: str
    rate: int
    channels: int
    seconds: float | None
    automatic: Literal["cancel", "predict", "classify"]
    modes: dict[Literal["cancel", "predict", "classify"], str]


class Job(Response):
    """A recording. `downloads` has links to the results by file name when the state is `done`."""

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
    """A page of the caller's recordings, without links."""

    jobs: list[Job]


class ChannelLevels(Response):
    """Levels of one channel in the unit of the analysis; `dc` is relative to full scale."""

    rms: float
    peak: float
    la_eq: float
    crest_db: float
    dc: float
    clipped_samples: int
    octaves: dict[str, float]


class Analysis(FromFile):
    """Acoustic levels of a sound. Without a calibration they are relative to full scale."""

    seconds: float
    rate: int
    unit: Literal["dBFS", "dB SPL"]
    a_weighted_unit: Literal["dBFS(A)", "dB(A)"]
    channels: list[ChannelLevels]


class EmergencyDetection(Emergency, FromFile):
    """Emergency detection in a sound. If detection fails, the mode is `transparency`."""

    mode: Literal["cancel", "transparency"]
    kinds: dict[str, float]


class EmergencyEvent(Response):
    """An emergency that switched a headset or session to transparency.

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


class EmergencyEvents(Page):
    """A page of emergencies. With conditions it may be shorter than `limit`, or empty, and not the last."""

    events: list[EmergencyEvent]


class EmergencyStatus(Response):
    """Whether an emergency holds any headset or session of the owner in transparency, and which."""

    active: bool
    sources: list[EmergencyEvent]
