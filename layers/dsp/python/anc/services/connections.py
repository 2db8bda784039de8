"""Open WebSockets: who is on them, and which devices they watch."""

from anc.ports import Conflict, Gone, World
from anc.records import Connection, Watch
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


def connect(connection: str, caller: Caller, world: World) -> None:
    """Note a socket that was opened. Raises Refused, `too_many`, when the person has as many as may be."""
    reserve(SOCKETS, connection, caller.user, world)
    expires = world.clock() + LIFE_S
    world.connections.put(
        Connection(
            key=connection,
            group=caller.user,
            role=caller.role,
            expires=expires,
            hears_jobs=caller.within("audio", looks_only=True),
        )
    )
    world.count("sockets_opened")


def disconnect(connection: str, world: World) -> None:
    """Forget a socket and what it watched. What this misses, the expiry cleans up."""
    known = world.connections.get(connection)
    for device in known.watching if known else ():
        world.watches.delete(_key(device, connection))
    world.connections.delete(connection)
    if known:
        release(SOCKETS, connection, known.group, world)
    world.count("sockets_closed")


def watch(device: str, connection: str, caller: Caller, world: World) -> None:
    """Let a socket be told what happens to a device.

    Raises
    ------
    Refused
        `unknown_device` when it does not exist or is not the caller's business; `too_many`.
    """
    owned = world.devices.get(device)
    if owned is None or not caller.may_see(owned.group):
        refuse("unknown_device", f"device: {device} is not registered")
    known = world.connections.get(connection) or refuse("unknown_connection", "connection: not open any more")
    if device in known.watching:
        return
    if len(known.watching) >= WATCHES_PER_CONNECTION:
        refuse("too_many", f"device: a socket watches {WATCHES_PER_CONNECTION} devices at most")
    if len(world.watches.list(device, limit=WATCHES_PER_DEVICE)) >= WATCHES_PER_DEVICE:
        refuse("too_many", f"device: {WATCHES_PER_DEVICE} sockets watch it, which is the most")
    try:
        world.connections.put(known.but(watching=(*known.watching, device)))
        world.watches.put(
            Watch(key=_key(device, connection), group=device, connection=connection, expires=known.expires)
        )
    except Conflict:
        refuse("in_flight", "device: another `watch` of this socket is being done; try again")


def tell_watchers(device: str, news: Answer, world: World) -> None:
    """Push a frame to every socket that watches the device; sockets that are gone are forgotten."""
    frame = encode(news)
    for entry in world.watches.list(device, limit=WATCHES_PER_DEVICE):
        try:
            world.sockets.post(entry.connection, frame)
        except Gone:
            world.watches.delete(entry.key)
            world.count("watchers_gone")


def _key(device: str, connection: str) -> str:
    return f"{device}#{connection}"
