"""What a client may say on its socket, and who answers."""

from anc.ports import World
from anc.services import connections, identity, sessions, streaming
from anc.services.identity import Caller
from anc.wire.refusal import Refused
from anc.wire.websocket import (
    Answer,
    Audio,
    Ping,
    Pong,
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


def answer(
    frame: str | None, caller: Caller, connection: str, world: World, received: float | None = None
) -> Answer:
    """Do what one frame asks and return the frame that answers it.

    Parameters
    ----------
    received : float, optional
        When the platform received the frame, in seconds since the epoch; now if left out.

    Raises
    ------
    Refused
        `unauthorized` when the caller's rights have ended since the socket was opened; whatever the frame's
        own service refuses.
    """
    caller = identity.current(caller, world)
    request = parse_request(frame)
    if isinstance(request, Watch):
        caller.check_scope("devices", looks_only=True)
    elif not isinstance(request, Ping):
        caller.check_scope("sessions")
    match request:
        case Audio():
            try:
                return streaming.filter_block(request, caller, world, received)
            except Refused as refusal:
                refusal.seq = request.seq  # whatever was wrong, the client learns with which block
                raise
        case Start():
            stream = sessions.open_session(request, caller, world)
            return Started(stream.key, next_seq=stream.seq + 1)
        case Set():
            stream = sessions.change(request, caller, world)
            return SetDone(stream.key, stream.enabled, stream.intensity)
        case Stop():
            return Stopped(request.session, sessions.end(request.session, caller, world))
        case Watch():
            connections.watch(request.device, connection, caller, world)
            return Watching(request.device)
        case Ping():
            return Pong()
