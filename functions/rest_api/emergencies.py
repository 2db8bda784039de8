"""Alarms: heard in a sound, holding something open now, and those of the past."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from anc import records
from anc.schemas.rest.audio_responses import (
    EmergencyDetection,
    EmergencyEvent,
    EmergencyEvents,
    EmergencyStatus,
)
from anc.services import emergencies
from anc.services.sound import detection
from functions.rest_api.request_context import After, Limit, caller, charge, dependencies, sound

router = Router()
TAGS = ["emergencies"]


@router.post("/api/emergency/detect", tags=TAGS)
def detect_emergency() -> EmergencyDetection:
    """Tell whether a headset in this sound should be open to the world; on any doubt it should."""
    heard, kinds = detection.emergency_in_file(sound(), dependencies(), charge)
    return EmergencyDetection(
        active=heard.active,
        score=heard.score,
        reason=heard.reason,
        mode="transparency" if heard.active else "cancel",
        kinds=kinds,
    )


@router.get("/api/emergency/status", tags=TAGS)
def emergency_status() -> EmergencyStatus:
    """Tell whether anything of the caller's is held open by an alarm now, and what."""
    sources = [_event(event) for event in emergencies.list_active(caller(), dependencies())]
    return EmergencyStatus(active=bool(sources), sources=sources)


@router.get("/api/emergency/events", tags=TAGS)
def list_emergencies(limit: Limit = 100, after: After = "") -> EmergencyEvents:
    """List the alarms that opened something of the caller's, the oldest first, a page at a time."""
    page = emergencies.list_own(caller(), dependencies(), limit, after)
    return EmergencyEvents(
        events=[_event(event) for event in page], next=page[-1].key if len(page) == limit else None
    )


def _event(event: records.Emergency) -> EmergencyEvent:
    return EmergencyEvent(id=event.key, source=event.source, kind=event.kind, score=event.score, at=event.at)
