"""Endpoints for emergencies: detect one in a sound file, list, acknowledge and comment past ones."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from anc import records
from anc.patterns import EMERGENCY_ID, ID, USER_NAME
from anc.schemas.rest.audio_responses import (
    EmergencyDetection,
    EmergencyEvent,
    EmergencyEvents,
    EmergencyStatus,
)
from anc.schemas.rest.requests import EmergencyChange
from anc.services import emergencies
from anc.services.access import accounts
from anc.services.sound import file_detection
from functions.rest_api.request_context import After, Limit, caller, charge, dependencies, sound

router = Router()
TAGS = ["emergencies"]

EmergencyId = Annotated[str, Path(pattern=EMERGENCY_ID)]
Owner = Annotated[
    str | None,
    Query(
        pattern=USER_NAME,
        description="For operators: id of the owner. Default: the owner of `source`, or you.",
        examples=["ada"],
    ),
]
AllOwners = Annotated[bool, Query(description="For operators: emergencies of all owners.")]
Source = Annotated[str | None, Query(pattern=ID, description="Headset or live session.", examples=["left-1"])]
Kind = Annotated[Literal["siren", "horn", "alarm"] | None, Query(description="Kind of sound.")]
Since = Annotated[
    float | None, Query(ge=0, le=4e9, description="Not earlier than this, in seconds since the epoch.")
]
Until = Annotated[
    float | None, Query(ge=0, le=4e9, description="Earlier than this, in seconds since the epoch.")
]
Acknowledged = Annotated[bool | None, Query(description="Whether somebody acknowledged it.")]
Sort = Annotated[Literal["at", "-at"], Query(description="Order; a hyphen means the newest first.")]


@router.post("/api/emergency/detect", tags=TAGS)
def detect_emergency() -> EmergencyDetection:
    """Detect alarms in a sound file. When detection fails, the result is an active emergency."""
    detected, kinds, note = file_detection.emergency_in_file(sound(), dependencies(), charge)
    return EmergencyDetection(
        active=detected.active,
        score=detected.score,
        reason=detected.reason,
        mode="transparency" if detected.active else "cancel",
        kinds=kinds,
        truncated=bool(note),
        note=note,
    )


@router.get("/api/emergency/status", tags=TAGS)
def emergency_status(
    owner: Owner = None, all_owners: AllOwners = False, source: Source = None
) -> EmergencyStatus:
    """Return the headsets and sessions of an owner that an emergency holds in transparency.

    Of all owners: those of the 50 sources with the latest emergencies in the last hour.
    """
    query = emergencies.EmergencyQuery(owner=owner or "", all_owners=all_owners, source=source or "")
    sources = [_event(event) for event in emergencies.list_active(query, caller(), dependencies())]
    return EmergencyStatus(active=bool(sources), sources=sources)


@router.get("/api/emergency/events", tags=TAGS)
def list_emergencies(
    owner: Owner = None,
    all_owners: AllOwners = False,
    source: Source = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    acknowledged: Acknowledged = None,
    sort: Sort = "at",
    limit: Limit = 100,
    after: After = "",
) -> EmergencyEvents:
    """List the emergencies of an owner or of all for which all given conditions hold, page by page."""
    query = emergencies.EmergencyQuery(
        owner=owner or "",
        all_owners=all_owners,
        source=source or "",
        kind=kind or "",
        since=since,
        until=until,
        acknowledged=acknowledged,
    )
    page = emergencies.search(query, caller(), dependencies(), limit, after, descending=sort == "-at")
    return EmergencyEvents(events=[_event(event) for event in page.events], next=page.next or None)


@router.get("/api/emergency/events/<id>", tags=TAGS)
def get_emergency(id: EmergencyId) -> EmergencyEvent:
    """Return an emergency."""
    return _event(emergencies.find(id, caller(), dependencies()))


@router.patch("/api/emergency/events/<id>", tags=TAGS)
def change_emergency(id: EmergencyId, body: EmergencyChange) -> EmergencyEvent:
    """Acknowledge an emergency or comment on it. Repeating a request changes nothing."""
    return _event(emergencies.change(id, body.acknowledged, body.comment, caller(), dependencies()))


def _event(event: records.Emergency) -> EmergencyEvent:
    def name(user: str) -> str | None:
        return accounts.name_of(user, dependencies()) if user else None

    return EmergencyEvent(
        id=event.key,
        owner=event.group,
        owner_name=name(event.group) or "",
        source=event.source,
        kind=event.kind,
        score=event.score,
        at=event.at,
        acknowledged=event.acknowledged_at is not None,
        acknowledged_by=name(event.acknowledged_by),
        acknowledged_at=event.acknowledged_at,
        comment=event.comment,
        commented_by=name(event.commented_by),
        commented_at=event.commented_at,
    )
