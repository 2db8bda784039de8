"""Open WebSockets: who is on them, and which devices they watch."""

from anc.lifetimes import HOUR_S, MINUTE_S, SOCKET_HOURS
from anc.ports import Conflict, Dependencies, Gone
from anc.records import Role, SocketConnection, Watch
from anc.schemas.refusal import refuse
from anc.schemas.websocket import Response, encode
from anc.services.access.identity import Caller
from anc.services.access.quotas import Quota, release, reserve
from anc.services.headsets import registrations

LIFE_S = SOCKET_HOURS * HOUR_S + 10 * MINUTE_S  # a record outlives its socket
SOCKETS = Quota(
    name="sockets",
    things="WebSockets",
    most=lambda settings: settings.quota_sockets,
    table=lambda deps: deps.connections,
    remedy="close one",
)
WATCHES_PER_CONNECTION = 50
WATCHES_PER_DEVICE = 100
PAGE = 100


def connect(connection: str, caller: Caller, deps: Dependencies) -> None:
    """Note a socket that was opened. Raises Refused, `too_many`, when the person has as many as may be."""
    reserve(SOCKETS, connection, caller.user, deps)
    expires = deps.clock() + LIFE_S
    deps.connections.put(
        SocketConnection(
            key=connection,
            group=caller.user,
            role=caller.role,
            api_key=caller.key,
            expires=expires,
            notify_jobs=caller.within("audio", looks_only=True),
        )
    )
    deps.count("sockets_opened")


def disconnect(connection: str, deps: Dependencies) -> None:
    """Forget a socket and what it watched. What this misses, the expiry cleans up."""
    known = deps.connections.get(connection)
    if known:
        _delete(known, deps)
    deps.count("sockets_closed")


def close_all(user: str, deps: Dependencies, api_key: str = "", above: Role | None = None) -> None:
    """Close the sockets of a person and end what they watch.

    Only those of one API key, if it is named; only those that may do more than the role `above`.
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
    """Let a socket be told what happens to a device.

    Raises
    ------
    Refused
        `unknown_device` when it does not exist or is not the caller's business; `too_many`.
    """
    owned = registrations.registered(device, deps)
    if owned is None or not caller.may_see(owned.group):
        refuse("unknown_device", f"device: {device} is not registered")
    known = deps.connections.get(connection) or refuse("unknown_connection", "connection: not open any more")
    entries = deps.watches.list(device, limit=WATCHES_PER_DEVICE)
    key = _key(device, connection)
    entry = next((each for each in entries if each.key == key), None)
    if entry and entry.registered == owned.created:
        return
    watching = device in known.watching
    if not watching and len(known.watching) >= WATCHES_PER_CONNECTION:
        refuse("too_many", f"device: a socket watches {WATCHES_PER_CONNECTION} devices at most")
    if not entry and len(entries) >= WATCHES_PER_DEVICE:
        refuse("too_many", f"device: {WATCHES_PER_DEVICE} sockets watch it, which is the most")
    entry = entry or Watch(key=key, group=device, connection=connection, expires=known.expires)
    try:
        if not watching:
            deps.connections.put(known.replace(watching=(*known.watching, device)))
        deps.watches.put(entry.replace(registered=owned.created))
    except Conflict:
        refuse("in_flight", "device: another `watch` of this socket is being done; try again")


def end_watches(device: str, deps: Dependencies) -> None:
    """Forget who watches a device, when its registration ends."""
    while page := deps.watches.list(device, limit=WATCHES_PER_DEVICE):
        for entry in page:
            deps.watches.delete(entry.key)


def notify_watchers(device: str, news: Response, deps: Dependencies) -> None:
    """Push a frame to every socket that watches the device.

    Sockets that are gone are forgotten, and so are those that watched an earlier registration of the name:
    this one may be somebody else's.
    """
    entries = deps.watches.list(device, limit=WATCHES_PER_DEVICE)
    registered = deps.devices.get(device) if entries else None
    frame = encode(news)
    for entry in entries:
        if registered is None or entry.registered not in (None, registered.created):
            deps.watches.delete(entry.key)
            continue
        try:
            deps.sockets.post(entry.connection, frame)
        except Gone:
            deps.watches.delete(entry.key)
            deps.count("watchers_gone")


def _key(device: str, connection: str) -> str:
    return f"{device}#{connection}"
