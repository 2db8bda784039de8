"""Open, list, change, summarise and end live sessions. `streaming` filters their blocks."""

import math
import secrets
from collections.abc import Sequence

from anc.ports import Conflict, Dependencies
from anc.records import Stream
from anc.schemas.refusal import refuse
from anc.schemas.websocket import Set, Start, Summary
from anc.services import emergencies
from anc.services.access.identity import Caller
from anc.services.access.quotas import Quota, release, reserve

ATTEMPTS = 3
SESSIONS = Quota(
    name="sessions",
    things="live sessions",
    limit=lambda settings: settings.quota_sessions,
    table=lambda deps: deps.streams,
    remedy="stop one, or wait until one expires",
)


def open_session(request: Start, caller: Caller, deps: Dependencies) -> Stream:
    """Create a session with the requested parameters and defaults from the settings.

    Raises
    ------
    Refused
        `bad_field`, or `too_many` if the user already has as many sessions as the quota allows.
    """
    settings = deps.settings
    channels = request.channels or (1 if request.mode == "predict" else 2)
    taps = request.taps or settings.anc_filter_taps
    if request.mode == "cancel" and channels != 2:
        refuse("bad_field", f"channels: `cancel` needs 2, reference and primary (got {channels})")
    if request.mode == "predict" and channels != 1:
        refuse("bad_field", f"channels: `predict` needs 1 (got {channels})")
    key, now = secrets.token_urlsafe(18), deps.clock()
    reserve(SESSIONS, key, caller.user, deps)
    deps.count("sessions_opened")
    return deps.streams.put(
        Stream(
            key=key,
            group=caller.user,
            expires=now + settings.anc_session_hours * 3600,
            mode=request.mode,
            algorithm=request.algorithm,
            rate=request.rate or settings.anc_sample_rate,
            channels=channels,
            taps=taps,
            mu=request.mu,
            horizon=request.horizon or settings.anc_block_size if request.mode == "predict" else 0,
            created=now,
        )
    )


def find(session: str, caller: Caller, deps: Dependencies) -> Stream:
    """Return a session of the caller. Raises Refused, `unknown_session`, also for sessions of others."""
    stream = deps.streams.get(session)
    if stream is None or stream.group != caller.user:
        refuse("unknown_session", "session: not found; it may have expired")
    return stream


def list_own(caller: Caller, deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[Stream]:
    """Return the caller's sessions, sorted by id."""
    return deps.streams.list(caller.user, limit, after)


def change(request: Set, caller: Caller, deps: Dependencies) -> Stream:
    """Change whether a session is enabled, its intensity or its algorithm. Fields left out stay unchanged."""
    names = ("enabled", "intensity", "algorithm")
    changes = {name: value for name in names if (value := getattr(request, name)) is not None}
    for _ in range(ATTEMPTS):
        stream = find(request.session, caller, deps)
        new_algorithm = request.algorithm not in (None, stream.algorithm)
        try:
            return deps.streams.put(stream.replace(**changes, filter=b"" if new_algorithm else stream.filter))
        except Conflict:
            continue  # a block was committed in the meantime
    refuse("in_flight", "session: blocks were committed at the same time; try again")


def end(session: str, caller: Caller, deps: Dependencies) -> Summary:
    """Publish a pending emergency of a session, delete it, and return its summary."""
    stream = find(session, caller, deps)
    emergencies.flush_pending_emergency(stream, deps.streams, deps)
    deps.streams.delete(stream.key)
    deps.session_cache.discard(stream.key)
    release(SESSIONS, stream.key, stream.group, deps)
    deps.count("sessions_ended")
    return summary(stream)


def summary(stream: Stream) -> Summary:
    """Return the summary of a session so far."""
    before, after = stream.energy_before, stream.energy_after
    attenuation = 10 * math.log10(before / after) if before > 0 and after > 0 else None
    return Summary(
        stream.blocks, stream.samples / stream.rate, stream.gaps, attenuation, stream.filter_resets
    )
