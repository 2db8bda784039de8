"""What the REST API answers about sounds: what was heard and measured in them, and what was made of them.

Times are seconds since the epoch, levels dBFS, attenuation dB.
"""

import base64
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from anc.schemas.rest.responses import Page, Response


class Emergency(Response):
    """Whether an alarm is heard. `reason` when the answer is yes for want of hearing."""

    active: bool
    score: float
    reason: str = ""


class Classification(Response):
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


class Levels(Response):
    """One channel: levels in dBFS and dBFS(A), of seconds and of third octaves (by centre in Hz) as well."""

    level_dbfs: float
    level_dbfs_a: float
    peak_dbfs: float
    clipped_samples: int
    by_second_dbfs: list[float]
    thirds_dbfs: dict[str, float]


class NoiseSpan(Response):
    """A stretch of one kind of noise."""

    from_s: float
    to_s: float
    label: str
    confidence: float


class AlarmSpan(Response):
    """A stretch in which an alarm was heard."""

    from_s: float
    to_s: float
    kind: str
    score: float


class RecordingReport(Response):
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
    filter_resets: int | None = None
    noise: list[NoiseSpan] | None
    emergencies: list[AlarmSpan] | None


class ProcessedSound(Response):
    """A recording that was treated: `audio` is a wav file in base64, empty when the noise was only named."""

    report: RecordingReport
    audio: str

    @property
    def wav(self) -> bytes:
        """The file itself."""
        return base64.b64decode(self.audio)


class Upload(Response):
    """How to send a recording: PUT it whole to the one link, or a part to each and then complete it."""

    job: str
    links: list[str]
    part_bytes: int
    expires: float


class Job(Response):
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


class ChannelLevels(Response):
    """One channel of a sound: levels in the analysis's unit, `dc` of full scale, octaves by centre in Hz."""

    rms: float
    peak: float
    la_eq: float
    crest_db: float
    dc: float
    clipped_samples: int
    octaves: dict[str, float]


class Analysis(Response):
    """What a sound measures. Without a calibration its levels are of full scale."""

    seconds: float
    rate: int
    unit: Literal["dBFS", "dB SPL"]
    a_weighted_unit: Literal["dBFS(A)", "dB(A)"]
    channels: list[ChannelLevels]


class EmergencyDetection(Emergency):
    """Whether a headset in this sound should be open to the world; on any doubt it should."""

    mode: Literal["cancel", "transparency"]
    kinds: dict[str, float]


class EmergencyEvent(Response):
    """An alarm that opened a headset or a session."""

    id: str
    source: str
    kind: str
    score: float
    at: float


class EmergencyEvents(Page):
    """Part of the caller's emergencies, the oldest first."""

    events: list[EmergencyEvent]


class EmergencyStatus(Response):
    """Whether anything of the caller's is held open by an alarm now, and what."""

    active: bool
    sources: list[EmergencyEvent]
