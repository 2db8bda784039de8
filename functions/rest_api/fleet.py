"""Endpoints for the whole fleet: search all headsets, export them, and get an overview."""

from http import HTTPStatus
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from anc.fleet_records import MAX_HOURS, FleetQuery, GroupField
from anc.patterns import INDEXED_TEXT, TAG, USER_NAME, described
from anc.schemas.rest.fleet_responses import (
    AttenuationDistribution,
    FleetDay,
    FleetHeadset,
    FleetHeadsets,
    FleetHistory,
    FleetOverview,
    HeadsetGroup,
)
from anc.services.headsets import fleet
from anc.services.headsets import fleet_history as history
from functions.rest_api.request_context import After, Limit, caller, dependencies

router = Router()
TAGS = ["fleet"]
CSV = "text/csv; charset=utf-8"
PREFIX = described("^[A-Za-z0-9_-]{1,64}$", "1 to 64 letters, digits, hyphens or underscores")

Name = Annotated[
    str | None,
    Query(pattern=PREFIX, description="Beginning of the name, in any case.", examples=["AX2-"]),
]
Tag = Annotated[str | None, Query(pattern=TAG, description="One of its tags.", examples=["hall-3"])]
Owner = Annotated[
    str | None,
    Query(
        pattern=USER_NAME,
        description="Id of the owner. Default: all owners; for listeners, you.",
        examples=["ada"],
    ),
]
Model = Annotated[
    str | None,
    Query(min_length=1, max_length=64, description="Model, in any case.", examples=["AX2"]),
]
Firmware = Annotated[
    str | None, Query(pattern=INDEXED_TEXT, description="Running version.", examples=["1.4.2"])
]
Noise = Annotated[
    str | None,
    Query(pattern=INDEXED_TEXT, description="Noise at the latest telemetry report.", examples=["engine"]),
]
Online = Annotated[
    bool | None, Query(description="Whether it is connected; false includes headsets that never were.")
]
AttenuationBelow = Annotated[
    float | None,
    Query(ge=-100, le=100, description="Only a measured attenuation below this, in dB.", examples=[6.0]),
]
RefusedHours = Annotated[
    float | None,
    Query(gt=0, le=MAX_HOURS, description="A message was refused within so many hours.", examples=[24.0]),
]
RevertedHours = Annotated[
    float | None,
    Query(gt=0, le=MAX_HOURS, description="A filter was reverted within so many hours.", examples=[24.0]),
]
By = Annotated[GroupField, Query(description="What a group of headsets has in common.")]
Days = Annotated[int, Query(ge=1, le=history.MAX_DAYS, description="Number of days until now.")]
Sort = Annotated[
    Literal["attenuation_db", "-attenuation_db", "refused_at", "-refused_at"] | None,
    Query(
        description="Order; a hyphen means descending. Leaves out headsets without a value. Default: by name"
        " on one machine, and in no particular order on AWS."
    ),
]


@router.get("/api/fleet", tags=TAGS)
def list_fleet(
    name: Name = None,
    tag: Tag = None,
    owner: Owner = None,
    model: Model = None,
    firmware: Firmware = None,
    noise: Noise = None,
    online: Online = None,
    attenuation_below: AttenuationBelow = None,
    refused_hours: RefusedHours = None,
    reverted_hours: RevertedHours = None,
    sort: Sort = None,
    limit: Limit = 50,
    after: After = "",
) -> FleetHeadsets:
    """Search headsets, page by page: operators those of all owners, listeners their own.

    All given conditions must hold. Connection and refusals follow a headset within seconds; noise and
    attenuation are those of a telemetry report, on AWS at most an hour old.
    """
    query = _query(
        name, tag, owner, model, firmware, noise, online, attenuation_below, refused_hours, reverted_hours
    )
    page = fleet.search(query, sort or "", limit, after, caller(), dependencies())
    headsets = [FleetHeadset.model_validate(each) for each in page.headsets]
    return FleetHeadsets(headsets=headsets, next=page.next or None)


@router.get("/api/fleet/csv", tags=TAGS)
def export_fleet(
    name: Name = None,
    tag: Tag = None,
    owner: Owner = None,
    model: Model = None,
    firmware: Firmware = None,
    noise: Noise = None,
    online: Online = None,
    attenuation_below: AttenuationBelow = None,
    refused_hours: RefusedHours = None,
    reverted_hours: RevertedHours = None,
) -> Response[str]:
    """Return up to 10,000 headsets as CSV, with the fields of the list as columns."""
    query = _query(
        name, tag, owner, model, firmware, noise, online, attenuation_below, refused_hours, reverted_hours
    )
    return Response(HTTPStatus.OK, CSV, fleet.export(query, caller(), dependencies()))


@router.get("/api/fleet/overview", tags=TAGS)
def fleet_overview(
    name: Name = None,
    tag: Tag = None,
    owner: Owner = None,
    model: Model = None,
    firmware: Firmware = None,
    noise: Noise = None,
    online: Online = None,
    attenuation_below: AttenuationBelow = None,
    refused_hours: RefusedHours = None,
    reverted_hours: RevertedHours = None,
) -> FleetOverview:
    """Return totals of the matching headsets, their attenuation in groups, and the worst headsets."""
    query = _query(
        name, tag, owner, model, firmware, noise, online, attenuation_below, refused_hours, reverted_hours
    )
    found = fleet.overview(query, caller(), dependencies())
    return FleetOverview.model_validate(found._asdict())


@router.get("/api/fleet/history", tags=TAGS)
def fleet_history(by: By = "model", days: Days = 90) -> FleetHistory:
    """Return the attenuation of the whole fleet from day to day, also in groups, for up to a year."""
    return FleetHistory(
        days=[
            FleetDay(
                day=each.key,
                at=each.at,
                headsets=each.headsets,
                attenuation=AttenuationDistribution.model_validate(each.attenuation),
                groups=[HeadsetGroup.model_validate(group._asdict()) for group in each.groups[by]],
            )
            for each in history.history(days, dependencies())
        ]
    )


def _query(
    name: str | None,
    tag: str | None,
    owner: str | None,
    model: str | None,
    firmware: str | None,
    noise: str | None,
    online: bool | None,
    attenuation_below: float | None,
    refused_hours: float | None,
    reverted_hours: float | None,
) -> FleetQuery:
    return FleetQuery(
        prefix=name or "",
        tag=tag or "",
        owner=owner or "",
        model=model or "",
        firmware=firmware or "",
        noise=noise or "",
        online=online,
        attenuation_below=attenuation_below,
        refused_since=fleet.since(refused_hours, dependencies()),
        reverted_since=fleet.since(reverted_hours, dependencies()),
    )
