"""Response bodies of the endpoints about the whole fleet."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from anc.schemas.rest.responses import Page, Response

EXAMPLE_HEADSET: JsonDict = {
    "thing": "AX2-000417",
    "name": "Hall 3, press",
    "tags": ["hall-3", "night-shift"],
    "owner": "2b1f0c52-7a3e-4f0a-9f6a-6d2f0f4f7c11",
    "model": "AX2",
    "online": True,
    "since": 1796032800.0,
    "firmware": "1.4.2",
    "noise": "engine",
    "attenuation_db": 3.1,
    "reverted": 4,
    "reverted_at": 1796036400.0,
    "refused": 0,
    "refused_at": None,
}
EXAMPLE_ATTENUATION: JsonDict = {"p10_db": 9.8, "median_db": 16.4, "p90_db": 21.0}


class FleetHeadset(Response):
    """What the fleet index knows of a headset; null: not known yet."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [EXAMPLE_HEADSET]})

    thing: str
    name: Annotated[str | None, Field(description="Display name, empty without one.")]
    tags: Annotated[
        list[str], Field(description="Given by operators."), BeforeValidator(lambda tags: tags or [])
    ]
    owner: str | None
    model: str | None
    online: Annotated[bool | None, Field(description="Null before the first connection.")]
    since: Annotated[float | None, Field(description="When `online` last changed.")]
    firmware: str | None
    noise: Annotated[str | None, Field(description="Label of the noise at the latest telemetry report.")]
    attenuation_db: Annotated[float | None, Field(description="Last measured at the error microphone.")]
    reverted: Annotated[int | None, Field(description="Filters reverted since power-on.")]
    reverted_at: Annotated[float | None, Field(description="When a reverted filter was last reported.")]
    refused: Annotated[int | None, Field(description="Refused messages of the headset.")]
    refused_at: Annotated[float | None, Field(description="When the last message was refused.")]


class FleetHeadsets(Page):
    """A page of headsets."""

    headsets: list[FleetHeadset]


class AttenuationDistribution(Response):
    """Percentiles of the attenuation of headsets in dB; null without a measurement. Approximate on AWS."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [EXAMPLE_ATTENUATION]})

    p10_db: float | None
    median_db: float | None
    p90_db: float | None


class HeadsetGroup(Response):
    """Headsets with the same value of a field."""

    value: str
    headsets: int
    attenuation: AttenuationDistribution


class FleetGroups(Response):
    """Up to eight groups of each kind, largest first."""

    model: list[HeadsetGroup]
    firmware: list[HeadsetGroup]
    noise: list[HeadsetGroup]


class FleetOverview(Response):
    """Totals of the matching headsets, their attenuation, and those with the lowest. At most a minute old."""

    headsets: int
    online: int
    refused: Annotated[int, Field(description="Headsets with a refused message in the last 24 hours.")]
    reverted: Annotated[int, Field(description="Headsets that reverted a filter in the last 24 hours.")]
    attenuation: AttenuationDistribution
    groups: FleetGroups
    worst: Annotated[list[FleetHeadset], Field(description="Up to ten, lowest attenuation first.")]


class FleetDay(Response):
    """The fleet at the beginning of a day (UTC)."""

    day: Annotated[str, Field(description="Date, such as 2026-11-30.")]
    at: Annotated[float, Field(description="When it was recorded.")]
    headsets: int
    attenuation: AttenuationDistribution
    groups: Annotated[list[HeadsetGroup], Field(description="Up to eight, largest first.")]


class FleetHistory(Response):
    """The recorded days, oldest first. A day on which the platform did not run is missing."""

    days: list[FleetDay]
