"""Endpoints for live sessions. Their audio blocks are sent over the WebSocket."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler.api_gateway import Router

from anc.records import Stream
from anc.schemas.rest.requests import NewSession, SessionChange
from anc.schemas.rest.responses import Session, Sessions, SessionSummary
from anc.schemas.websocket import Set
from anc.services.sound import sessions
from functions.rest_api.request_context import After, Limit, SessionId, caller, dependencies

router = Router()
TAGS = ["sessions"]


@router.post("/api/sessions", tags=TAGS, status_code=HTTPStatus.CREATED)
def open_session(body: NewSession) -> Session:
    """Open a live session. Its audio blocks are sent over the WebSocket."""
    return _session(sessions.open_session(body.start(), caller(), dependencies()))


@router.get("/api/sessions", tags=TAGS)
def list_sessions(limit: Limit = 100, after: After = "") -> Sessions:
    """List the caller's sessions, page by page."""
    page = sessions.list_own(caller(), dependencies(), limit, after)
    return Sessions(
        sessions=[_session(stream) for stream in page], next=page[-1].key if len(page) == limit else None
    )


@router.get("/api/sessions/<id>", tags=TAGS)
def get_session(id: SessionId) -> Session:
    """Return a session."""
    return _session(sessions.find(id, caller(), dependencies()))


@router.patch("/api/sessions/<id>", tags=TAGS)
def change_session(id: SessionId, body: SessionChange) -> Session:
    """Turn a session on or off, set its intensity, or restart it with another algorithm."""
    wanted = Set(id, enabled=body.enabled, intensity=body.intensity, algorithm=body.algorithm)
    return _session(sessions.change(wanted, caller(), dependencies()))


@router.delete("/api/sessions/<id>", tags=TAGS)
def end_session(id: SessionId) -> SessionSummary:
    """End a session, and return its summary."""
    return SessionSummary.model_validate(sessions.end(id, caller(), dependencies()))


@router.get("/api/sessions/<id>/stats", tags=TAGS)
def session_stats(id: SessionId) -> SessionSummary:
    """Return the summary of a session so far."""
    return SessionSummary.model_validate(sessions.summary(sessions.find(id, caller(), dependencies())))


def _session(stream: Stream) -> Session:
    return Session(
        session=stream.key,
        mode=stream.mode,
        algorithm=stream.algorithm,
        rate=stream.rate,
        channels=stream.channels,
        taps=stream.taps,
        mu=stream.mu,
        horizon=stream.horizon,
        enabled=stream.enabled,
        intensity=stream.intensity,
        next_seq=stream.seq + 1,
        created=stream.created,
        expires=stream.expires,
    )
