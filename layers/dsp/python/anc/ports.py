"""What the services need of the world, as small Protocols with their promises written down.

`anc.aws` keeps these promises on AWS, `local` on one machine; one contract suite holds both to them.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from anc.records import Connection, Control, Device, Emergency, Record, Stream, Watch
from anc.settings import Settings

R = TypeVar("R", bound=Record)


class Conflict(Exception):
    """The record was written by somebody else since it was read."""


class Gone(Exception):
    """The socket is closed: forget it."""


class Table(Protocol[R]):
    """Records of one kind. Expired ones are as good as absent, whether or not they were swept yet."""

    def get(self, key: str) -> R | None:
        """Return the record, always as last written (a strongly consistent read)."""

    def put(self, record: R) -> R:
        """Store the record if the stored version is still `record.version` (0: none is stored).

        Returns the record as stored, its version one higher. Raises Conflict, and then changes nothing.
        """

    def delete(self, key: str) -> None:
        """Remove the record; removing what is absent is fine."""

    def list(self, group: str, limit: int = 100, after: str = "") -> Sequence[R]:
        """Return up to `limit` records of the group, by key, from the first key > `after` on."""


class Queue(Protocol):
    """At-least-once delivery of small JSON documents to the function that consumes the queue."""

    def send(self, body: Mapping[str, Any], delay_s: int = 0) -> None:
        """Return when the message is safely kept; it is delivered `delay_s` (0-900) seconds later."""


class Shadows(Protocol):
    """The named shadow `anc` of each thing."""

    def get(self, thing: str) -> dict[str, Any] | None:
        """Return the shadow document with `state` and `version`, or None."""

    def update(self, thing: str, desired: Mapping[str, Any]) -> None:
        """Merge `desired` into the desired state; keys set to None are removed. At most 8 KB in all."""


class Credentials(NamedTuple):
    """What a headset needs to connect: PEM texts, and where to. The key is never kept by the platform."""

    certificate_id: str
    certificate: str
    private_key: str
    ca: str
    endpoint: str
    port: int


class Things(Protocol):
    """The registry of headsets' identities."""

    def enrol(self, thing: str) -> Credentials:
        """Create the thing with a new certificate whose policy is bound to the thing's name."""

    def revoke(self, thing: str, certificate_id: str) -> None:
        """Make the certificate useless at once and remove the thing."""


class Sockets(Protocol):
    """Open WebSockets of clients."""

    def post(self, connection: str, text: str) -> None:
        """Send one text frame. Raises Gone when the socket is closed."""


class Objects(Protocol):
    """Files by key: recordings, results, reports."""

    def put(self, key: str, data: bytes) -> None:
        """Store the whole file, or nothing."""

    def get(self, key: str) -> bytes | None:
        """Return the file, or None."""

    def delete(self, key: str) -> None:
        """Remove the file; removing what is absent is fine."""


class SigningKeys(Protocol):
    """Public keys of the token issuer."""

    def key_for(self, token: str) -> Any:
        """Return the public key that the token's `kid` names. Raises LookupError when there is none."""


class Warm:
    """The sessions that this instance committed last, so that the next block need not read its session.

    Only a shortcut: the conditional write still protects a session that another instance went on with.
    """

    SESSIONS = 256

    def __init__(self) -> None:
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, session: str) -> Stream | None:
        """Return the session as this instance last wrote it."""
        with self._lock:
            return self._streams.get(session)

    def keep(self, stream: Stream) -> None:
        """Remember a session just written, and forget the one not written for longest."""
        with self._lock:
            self._streams[stream.key] = stream
            self._streams.move_to_end(stream.key)
            if len(self._streams) > self.SESSIONS:
                self._streams.popitem(last=False)

    def forget(self, session: str) -> None:
        """Drop what is remembered of a session."""
        with self._lock:
            self._streams.pop(session, None)


class Alerts(Protocol):
    """The people who want to know of emergencies."""

    def publish(self, subject: str, text: str) -> None:
        """Tell them. What cannot be delivered is not retried: the headset is open already."""


@dataclass(frozen=True)
class World:
    """Everything outside the services, handed to each of them."""

    settings: Settings
    streams: Table[Stream]
    connections: Table[Connection]
    watches: Table[Watch]
    devices: Table[Device]
    controls: Table[Control]
    emergencies: Table[Emergency]
    updates: Queue
    shadows: Shadows
    things: Things
    sockets: Sockets
    alerts: Alerts
    objects: Objects
    keys: SigningKeys
    count: Callable[[str], None]
    clock: Callable[[], float] = time.time
    warm: Warm = field(default_factory=Warm)
