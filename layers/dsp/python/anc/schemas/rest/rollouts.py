"""Request and response bodies of the endpoints about rollouts."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from anc.fleet_records import MAX_BULK, MAX_HOURS
from anc.patterns import DISPLAY_NAME, ID, INDEXED_TEXT, TAG, USER_NAME, VERSION, described, optional
from anc.rollout_records import JobStatus, RolloutStage, RolloutState
from anc.schemas.rest.requests import Body, HeadsetConfig, NewFirmware, shown
from anc.schemas.rest.responses import Page, Response

MIN_PER_MINUTE, MAX_PER_MINUTE = 10, 1000
FIRMWARE: JsonDict = {
    "version": "1.5.0",
    "url": "https://firmware.example.com/ax2-1.5.0.bin",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size": 524288,
}
ROLLOUT_ID = described("^[0-9]{14}-[0-9a-f]{8}$", "14 digits, a hyphen and 8 hexadecimal digits")
EXAMPLE_ROLLOUT: JsonDict = {
    "id": "01796032800000-5f0c2d1e",
    "name": "Quieter hinge, AX2",
    "firmware": FIRMWARE,
    "config": None,
    "query": {"model": "AX2", "firmware": "1.4.2"},
    "things": [],
    "canary_percent": 5.0,
    "soak_minutes": 60.0,
    "per_minute": 100,
    "max_failed_percent": 5.0,
    "max_drop_db": 2.0,
    "state": "stopped",
    "stage": "canary",
    "reason": "the attenuation of 18 updated headsets changed by -6.1 dB, of others by +0.2 dB"
    " (limit 2 dB lower)",
    "created": 1796032800.0,
    "created_by": "olga",
    "changed": 1796036400.0,
    "changed_by": None,
    "headsets": 400,
    "canary": 20,
    "counts": {
        "waiting": 380,
        "queued": 0,
        "in_progress": 0,
        "succeeded": 18,
        "failed": 0,
        "rejected": 0,
        "timed_out": 0,
        "cancelled": 2,
    },
    "updated_change_db": -6.1,
    "other_change_db": 0.2,
    "measured": 18,
}


class RolloutQuery(Body, json_schema_extra=shown(model="AX2", firmware="1.4.2")):
    """Conditions on headsets, all of which must hold, in any case. Without any: the whole fleet."""

    prefix: Annotated[str, Field(pattern=optional(ID), description="Beginning of the name.")] = ""
    tag: Annotated[str, Field(pattern=optional(TAG), description="One of its tags.")] = ""
    owner: Annotated[str, Field(pattern=optional(USER_NAME), description="Id of the owner.")] = ""
    model: Annotated[str, Field(max_length=64)] = ""
    firmware: Annotated[str, Field(pattern=optional(VERSION), description="Running version.")] = ""
    noise: Annotated[
        str, Field(pattern=optional(INDEXED_TEXT), description="Noise at the latest telemetry report.")
    ] = ""
    online: Annotated[
        bool | None, Field(description="Whether it is connected; false includes headsets that never were.")
    ] = None
    attenuation_below: Annotated[
        float | None, Field(ge=-100, le=100, description="Only a measured attenuation below this, in dB.")
    ] = None
    refused_hours: Annotated[
        float | None, Field(gt=0, le=MAX_HOURS, description="A message was refused within so many hours.")
    ] = None
    reverted_hours: Annotated[
        float | None, Field(gt=0, le=MAX_HOURS, description="A filter was reverted within so many hours.")
    ] = None


class NewRollout(
    Body,
    json_schema_extra=shown(
        name="Quieter hinge", firmware=FIRMWARE, query={"prefix": "left-"}, canary_percent=5, per_minute=100
    ),
):
    """Firmware or configuration for the headsets of a query, in stages."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=DISPLAY_NAME)]
    firmware: Annotated[NewFirmware | None, Field(description="Either this or `config`.")] = None
    config: Annotated[
        HeadsetConfig | None,
        Field(description="Either this or `firmware`. `private` must not be false."),
    ] = None
    query: RolloutQuery = RolloutQuery()
    things: list[Annotated[str, Field(pattern=ID)]] = Field(
        default=[], max_length=MAX_BULK, description="Names of headsets, instead of `query`."
    )
    canary_percent: Annotated[
        float, Field(ge=0.1, le=100, description="Share of the headsets that get it first.")
    ] = 5.0
    soak_minutes: Annotated[
        float,
        Field(
            ge=0,
            le=10_080,
            description="Minutes from the end of the canary to the start of the others.",
        ),
    ] = 60.0
    per_minute: Annotated[
        int,
        Field(ge=MIN_PER_MINUTE, le=MAX_PER_MINUTE, description="Most headsets to start in a minute."),
    ] = 100
    max_failed_percent: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="Stop when more failed: of those that finished, and at least of the canary.",
        ),
    ] = 5.0
    max_drop_db: Annotated[
        float,
        Field(
            ge=0.5,
            le=40,
            description="Stop when the attenuation of updated headsets fell by more than that of the others.",
        ),
    ] = 2.0


class RolloutChange(Body, json_schema_extra=shown(action="pause")):
    """What to do with a rollout. A paused one gives no further headset its job, and is still watched."""

    action: Literal["pause", "resume", "cancel"]


class RolloutFirmware(Response):
    """Firmware that is rolled out."""

    version: str
    url: str
    sha256: str
    size: int


class RolloutConfig(Response):
    """Configuration that is rolled out; null: not changed."""

    snapshot_interval_s: float | None
    telemetry_interval_s: float | None
    private: bool | None


class RolloutConditions(Response):
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


class RolloutCounts(Response):
    """Number of headsets by status. A rejected one could not use the document; cancelled includes removed."""

    waiting: Annotated[int, Field(description="Not started yet.")] = 0
    queued: Annotated[int, Field(description="Not fetched by the headset yet.")] = 0
    in_progress: int = 0
    succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    timed_out: int = 0
    cancelled: int = 0


class Rollout(Response):
    """A rollout: what, to whom, by whom, and how far."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [EXAMPLE_ROLLOUT]})

    id: str
    name: str
    firmware: RolloutFirmware | None
    config: RolloutConfig | None
    query: RolloutConditions
    things: Annotated[list[str], Field(description="The chosen headsets; empty: those of `query`.")]
    canary_percent: float
    soak_minutes: float
    per_minute: int
    max_failed_percent: float
    max_drop_db: float
    state: Annotated[RolloutState, Field(description="`stopped`: by the platform, see `reason`.")]
    stage: RolloutStage
    reason: Annotated[str, Field(description="Why it was stopped, as text for people.")]
    created: float
    created_by: Annotated[str, Field(description="Sign-in name.")]
    changed: float
    changed_by: Annotated[str | None, Field(description="Sign-in name; null: the platform.")]
    headsets: int
    canary: Annotated[int, Field(description="Headsets that get it first; 0 before the first step.")]
    counts: RolloutCounts
    updated_change_db: Annotated[
        float | None, Field(description="Median change of the attenuation of updated headsets.")
    ]
    other_change_db: Annotated[
        float | None, Field(description="The same of headsets that have not got it yet.")
    ]
    measured: Annotated[int, Field(description="Updated headsets that have reported an attenuation.")]


class Rollouts(Page):
    """A page of rollouts, the newest first."""

    rollouts: list[Rollout]


class RolloutHeadset(Response):
    """A headset of a rollout."""

    thing: str
    status: JobStatus
    at: Annotated[float | None, Field(description="When the status changed; null for `waiting`.")]
    before_db: Annotated[float | None, Field(description="Attenuation when the rollout was created.")]


class RolloutHeadsets(Page):
    """A page of the headsets of a rollout, the canary first."""

    headsets: list[RolloutHeadset]
