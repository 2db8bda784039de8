"""Open WebSockets: who is on them, and which devices they watch."""

from anc.ports import Conflict, Gone, World
from anc.records import Connection, Role, Watch
from anc.services import registrations
from anc.services.identity import Caller
from anc.services.quotas import Quota, release, reserve
from anc.wire.refusal import refuse
from anc.wire.websocket import Answer, encode

LIFE_S = 2 * 3600 + 600  # API Gateway cuts every socket at two hours
SOCKETS = Quota(
    name="sockets",
    things="WebSockets",
    most=lambda settings: settings.quota_sockets,
    table=lambda world: world.connections,
    remedy="close one",
)
WATCHES_PER_CONNECTION = 50
WATCHES_PER_DEVICE = 100
PAGE = 100


def connect(connection: str, caller: Caller, world: World) -> None:
    """Note a socket that was opened. Raises Refused, `too_many`, when the person has as many as may be."""
    reserve(SOCKETS, connection, caller.user, world)
    expires = world.clock() + LIFE_S
    world.connections.put(
        Connection(
            key=connection,
            group=caller.user,
            role=caller.role,
            api_key=caller.key,
            expires=expires,
            hears_jobs=caller.within("audio", looks_only=True),
        )
    )
    world.count("sockets_opened")


def disconnect(connection: str, world: World) -> None:
    """Forget a socket and what it watched. What this misses, the expiry cleans up."""
    known = world.connections.get(connection)
    if known:
        _forget(known, world)
    world.count("sockets_closed")


def close_all(user: str, world: World, api_key: str = "", above: Role | None = None) -> None:
    """Close the sockets of a person and end what they watch.

    Only those of one API key, if it is named; only those that may do more than the role `above`.
    """
    after = ""
    may = Caller(user, above).may if above else None
    while page := world.connections.list(user, limit=PAGE, after=after):
        after = page[-1].key
        for known in page:
            if api_key in ("", known.api_key) and not (may and may(known.role)):
                world.sockets.close(known.key)
                _forget(known, world)


def _forget(known: Connection, world: World) -> None:
    for device in known.watching:
        world.watches.delete(_key(device, known.key))
    world.connections.delete(known.key)
    release(SOCKETS, known.key, known.group, world)


def watch(device: str, connection: str, caller: Caller, world: World) -> None:
    """Let a socket be told what happens to a device.

    Raises
    ------
    Refused
        `unknown_device` when it does not exist or is not the caller's business; `too_many`.
    """
    owned = registrations.registered(device, world)
    if owned is None or not caller.may_see(owned.group):
        refuse("unknown_device", f"device: {device} is not registered")
    known = world.connections.get(connection) or refuse("unknown_connection", "connection: not open any more")
    entries = world.watches.list(device, limit=WATCHES_PER_DEVICE)
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
            world.connections.put(known.but(watching=(*known.watching, device)))
        world.watches.put(entry.but(registered=owned.created))
    except Conflict:
        refuse("in_flight", "device: another `watch` of this socket is being done; try again")


def end_watches(device: str, world: World) -> None:
    """Forget who watches a device, when its registration ends."""
    while page := world.watches.list(device, limit=WATCHES_PER_DEVICE):
        for entry in page:
            world.watches.delete(entry.key)


def tell_watchers(device: str, news: Answer, world: World) -> None:
    """Push a frame to every socket that watches the device.

    Sockets that are gone are forgotten, and so are those that watched an earlier registration of the name:
    this one may be somebody else's.
    """
    entries = world.watches.list(device, limit=WATCHES_PER_DEVICE)
    registered = world.devices.get(device) if entries else None
    frame = encode(news)
    for entry in entries:
        if registered is None or entry.registered not in (None, registered.created):
            world.watches.delete(entry.key)
            continue
        try:
            world.sockets.post(entry.connection, frame)
        except Gone:
            world.watches.delete(entry.key)
            world.count("watchers_gone")


def _key(device: str, connection: str) -> str:
    return f"{device}#{connection}"
