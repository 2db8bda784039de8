"""Endpoints for emergencies: detect one in a sound file, list active and past ones."""

from aws_lambda_powertools.event_handler.api_gateway import Router

from anc import records
from anc.schemas.rest.audio_responses import (
    EmergencyDetection,
    EmergencyEvent,
    EmergencyEvents,
    EmergencyStatus,
)
from anc.services import emergencies
from anc.services.sound import file_detection
from functions.rest_api.request_context import After, Limit, caller, charge, dependencies, sound

router = Router()
TAGS = ["emergencies"]


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
def emergency_status() -> EmergencyStatus:
    """Return the caller's headsets and sessions that an emergency holds in transparency."""
    sources = [_event(event) for event in emergencies.list_active(caller(), dependencies())]
    return EmergencyStatus(active=bool(sources), sources=sources)


@router.get("/api/emergency/events", tags=TAGS)
def list_emergencies(limit: Limit = 100, after: After = "") -> EmergencyEvents:
    """List the caller's emergencies, oldest first, page by page."""
    page = emergencies.list_own(caller(), dependencies(), limit, after)
    return EmergencyEvents(
        events=[_event(event) for event in page], next=page[-1].key if len(page) == limit else None
    )


def _event(event: records.Emergency) -> EmergencyEvent:
    return EmergencyEvent(id=event.key, source=event.source, kind=event.kind, score=event.score, at=event.at)
