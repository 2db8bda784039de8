"""Open WebSockets: their users, and the devices that they watch."""

from anc.lifetimes import HOUR_S, MINUTE_S, SOCKET_HOURS
from anc.ports import Conflict, Dependencies, Gone
from anc.records import Role, SocketConnection, Watch
from anc.schemas.refusal import refuse
from anc.schemas.websocket import Response, encode
from anc.services.access.identity import Caller
from anc.services.access.quotas import Quota, release, reserve
from anc.services.headsets import registrations

RECORD_LIFETIME_S = SOCKET_HOURS * HOUR_S + 10 * MINUTE_S  # a record outlives its socket
SOCKETS = Quota(
    name="sockets",
    things="WebSockets",
    limit=lambda settings: settings.quota_sockets,
    table=lambda deps: deps.connections,
    remedy="close one",
)
MAX_WATCHES_PER_CONNECTION = 50
MAX_WATCHES_PER_DEVICE = 100
PAGE = 100


def connect(connection: str, caller: Caller, deps: Dependencies) -> None:
    """Store a socket that was opened. Raises Refused, `too_many`, when the user's quota is used up."""
    reserve(SOCKETS, connection, caller.user, deps)
    expires = deps.clock() + RECORD_LIFETIME_S
    deps.connections.put(
        SocketConnection(
            key=connection,
            group=caller.user,
            role=caller.role,
            api_key=caller.key,
            expires=expires,
            notify_jobs=caller.within("audio", read_only=True),
        )
    )
    deps.count("sockets_opened")


def disconnect(connection: str, deps: Dependencies) -> None:
    """Delete a socket and its watches. Records that are missed here expire."""
    known = deps.connections.get(connection)
    if known:
        _delete(known, deps)
    deps.count("sockets_closed")


def close_all(user: str, deps: Dependencies, api_key: str = "", above: Role | None = None) -> None:
    """Close the sockets of a user and delete their watches.

    Parameters
    ----------
    user : str
    deps : Dependencies
    api_key : str
        Close only the sockets that were opened with this API key.
    above : Role, optional
        Close only the sockets whose role permits more than this one.
    """
    after = ""
    may = Caller(user, above).may if above else None
    while page := deps.connections.list(user, limit=PAGE, after=after):
        after = page[-1].key
        for known in page:
            if api_key in ("", known.api_key) and not (may and may(known.role)):
                deps.sockets.close(known.key)
                _delete(known, deps)


def _delete(known: SocketConnection, deps: Dependencies) -> None:
    for device in known.watching:
        deps.watches.delete(_key(device, known.key))
    deps.connections.delete(known.key)
    release(SOCKETS, known.key, known.group, deps)


def watch(device: str, connection: str, caller: Caller, deps: Dependencies) -> None:
    """Send updates of a device to a socket from now on.

    Raises
    ------
    Refused
        `unknown_device` when the device does not exist or the caller may not see it; `unknown_connection`;
        `too_many`; `in_flight`.
    """
    owned = registrations.registered(device, deps)
    if owned is None or not caller.may_see(owned.group):
        refuse("unknown_device", f"device: {device} is not registered")
    known = deps.connections.get(connection) or refuse("unknown_connection", "connection: is no longer open")
    entries = deps.watches.list(device, limit=MAX_WATCHES_PER_DEVICE)
    key = _key(device, connection)
    entry = next((each for each in entries if each.key == key), None)
    if entry and entry.registered == owned.created:
        return
    watching = device in known.watching
    if not watching and len(known.watching) >= MAX_WATCHES_PER_CONNECTION:
        refuse("too_many", f"device: a socket can watch at most {MAX_WATCHES_PER_CONNECTION} devices")
    if not entry and len(entries) >= MAX_WATCHES_PER_DEVICE:
        refuse("too_many", f"device: at most {MAX_WATCHES_PER_DEVICE} sockets can watch it")
    entry = entry or Watch(key=key, group=device, connection=connection, expires=known.expires)
    try:
        if not watching:
            deps.connections.put(known.replace(watching=(*known.watching, device)))
        deps.watches.put(entry.replace(registered=owned.created))
    except Conflict:
        refuse("in_flight", "device: another `watch` of this socket is in progress; try again")


def end_watches(device: str, deps: Dependencies) -> None:
    """Delete all watches of a device, when its registration ends."""
    while page := deps.watches.list(device, limit=MAX_WATCHES_PER_DEVICE):
        for entry in page:
            deps.watches.delete(entry.key)


def notify_watchers(device: str, update: Response, deps: Dependencies) -> None:
    """Push a frame to every socket that watches a device.

    Deletes the watches of closed sockets, and those of an earlier registration of the name, which may have
    had another owner.
    """
    entries = deps.watches.list(device, limit=MAX_WATCHES_PER_DEVICE)
    registered = deps.devices.get(device) if entries else None
    frame = encode(update)
    for entry in entries:
        if registered is None or entry.registered not in (None, registered.created):
            deps.watches.delete(entry.key)
            continue
        with deps.best_effort("frames_not_sent", "notifying a watcher"):
            try:
                deps.sockets.post(entry.connection, frame)
            except Gone:
                deps.watches.delete(entry.key)
                deps.count("watchers_gone")


def _key(device: str, connection: str) -> str:
    return f"{device}#{connection}"
