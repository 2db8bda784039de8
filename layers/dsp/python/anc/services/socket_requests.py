"""Dispatch WebSocket requests to the services."""

from anc.ports import Dependencies
from anc.schemas.refusal import Refused
from anc.schemas.websocket import (
    Audio,
    Ping,
    Pong,
    Response,
    Set,
    SetDone,
    Start,
    Started,
    Stop,
    Stopped,
    Watch,
    Watching,
    parse_request,
)
from anc.services import connections
from anc.services.access import identity
from anc.services.access.identity import Caller
from anc.services.sound import sessions, streaming


def handle_request(
    frame: str | None, caller: Caller, connection: str, deps: Dependencies, received: float | None = None
) -> Response:
    """Handle the request in one frame and return its response.

    Parameters
    ----------
    received : float, optional
        When the platform received the frame, in seconds since the epoch; now if left out.

    Raises
    ------
    Refused
        `unauthorized` when the caller's rights ended since the socket was opened; and as the service of the
        request.
    """
    caller = identity.refresh(caller, deps)
    request = parse_request(frame)
    if isinstance(request, Watch):
        caller.check_scope("devices", read_only=True)
    elif not isinstance(request, Ping):
        caller.check_scope("sessions")
    match request:
        case Audio():
            try:
                return streaming.filter_block(request, caller, deps, received)
            except Refused as refusal:
                refusal.seq = request.seq  # names the block that was refused
                raise
        case Start():
            stream = sessions.open_session(request, caller, deps)
            return Started(stream.key, next_seq=stream.seq + 1)
        case Set():
            stream = sessions.change(request, caller, deps)
            return SetDone(stream.key, stream.enabled, stream.intensity)
        case Stop():
            return Stopped(request.session, sessions.end(request.session, caller, deps))
        case Watch():
            connections.watch(request.device, connection, caller, deps)
            return Watching(request.device)
        case Ping():
            return Pong()
