"""Interfaces of everything that the services use, as Protocols.

`anc.aws` implements them on AWS and `local` on one machine; the tests in `tests/contract` run against both.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, Protocol

from anc.circuit_breaker import CircuitBreaker
from anc.read_cache import ReadCache
from anc.records import Role, User
from anc.schemas.messages import Message
from anc.settings import Settings
from anc.tables import Tables
from anc.token_bucket import TokenBucket

MIN_PART_BYTES = 5 * 1024 * 1024
MAX_RESPONSE_BYTES = 64 * 1024


class Conflict(Exception):
    """Another writer changed the record after it was read."""


class Gone(Exception):
    """The socket is closed."""


class ObjectChanged(Exception):
    """The file no longer has the requested content."""


class EndpointUnavailable(Exception):
    """The endpoint did not respond. The message gives the reason and no part of the request."""


class Queue(Protocol):
    """At-least-once delivery of messages to the function that consumes the queue."""

    def send(self, message: Message, delay_s: int = 0) -> None:
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
    """The registry of headsets' identities. Every call may be repeated.

    A certificate opens nothing before it is activated, and never again after it was revoked, in whatever
    order the two arrive. So a caller that stores a certificate's id between enrolling and activating it can
    be overtaken by a removal at any point, and no certificate is left that works.
    """

    def create(self, thing: str) -> Credentials:
        """Create the thing, if it is new, and a certificate bound to its name. It is not active yet."""

    def attach_certificate(self, thing: str, certificate_id: str) -> None:
        """Bind a certificate that was signed for a claim to a thing's name. It is not active yet."""

    def activate(self, thing: str, certificate_id: str) -> None:
        """Make a thing's certificate work, unless it was revoked."""

    def certificates(self, thing: str) -> Sequence[str]:
        """Return the ids of all certificates of a thing, active or not."""

    def revoke(self, thing: str, certificate_ids: Collection[str]) -> None:
        """Make certificates of a thing useless at once and for good, and cut its connection."""

    def remove(self, thing: str) -> None:
        """Remove a thing that has no certificate any more, with its shadow."""


class Sockets(Protocol):
    """Open WebSockets of clients."""

    def post(self, connection: str, text: str) -> None:
        """Send one text frame. Raises Gone when the socket is closed."""

    def close(self, connection: str) -> None:
        """Close the socket; nothing is sent over it any more. Closing a closed one is fine."""


class ObjectInfo(NamedTuple):
    """A stored file: its bytes, and a text that is another one as soon as its content is."""

    size: int
    etag: str


class Objects(Protocol):
    """Files by key: recordings, results, reports. Small ones whole, large ones in parts and by ranges.

    A file in parts appears, whole, when it is finished; every part but the last has at least `MIN_PART_BYTES`
    bytes.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store the whole file, or nothing."""

    def get(self, key: str) -> bytes | None:
        """Return the file, or None."""

    def delete(self, key: str) -> None:
        """Remove the file; removing what is absent is fine."""

    def info(self, key: str) -> ObjectInfo | None:
        """Return what is known of a file without reading it, or None."""

    def open(self, key: str, etag: str) -> BinaryIO:
        """Return the file, seekable and read by ranges as needed.

        Opening or reading raises ObjectChanged if the content does not have that `etag`.
        """

    def begin(self, key: str) -> str:
        """Begin a file in parts; returns the name that its parts are stored under."""

    def put_part(self, key: str, parts: str, number: int, data: bytes) -> None:
        """Store a part, numbered from 1, or replace it. Raises LookupError when the file is finished."""

    def stored_parts(self, key: str, parts: str) -> Sequence[int]:
        """Return the numbers of the stored parts, ascending; none of a file that is finished or abandoned."""

    def finish(self, key: str, parts: str) -> None:
        """Make the parts the file, in order. Again is fine. Raises LookupError when there are none."""

    def abandon(self, key: str, parts: str) -> None:
        """Drop the parts of a file that will not be finished; those of a finished one are gone already."""

    def upload_link(self, key: str, size: int, expires_s: int) -> str:
        """Return a URL to which a client may PUT exactly `size` bytes as the whole file."""

    def part_link(self, key: str, parts: str, number: int, size: int, expires_s: int) -> str:
        """Return a URL to which a client may PUT exactly `size` bytes as a part."""

    def download_link(self, key: str, expires_s: int, name: str) -> str:
        """Return a URL from which anybody may GET the file, saved as `name`."""


class Grant(NamedTuple):
    """A bearer token, for how many seconds it is valid, what it lets its bearer do, and its subject."""

    token: str
    expires_in: int
    role: Role
    user: str


class People(Protocol):
    """The people who may sign in.

    Each is known by `user`, what a token names as its subject: never given to anybody else, not even to
    a later person of the same name.
    """

    def sign_in(self, name: str, password: str) -> Grant | None:
        """Return a token, or None: nobody learns whether the name or the password was wrong."""

    def create(self, name: str, password: str, role: Role) -> User:
        """Add a person. Raises Conflict when the name is taken, Refused when the password is too simple."""

    def get(self, user: str) -> User | None:
        """Return a person."""

    def list(self, limit: int = 50, after: str = "") -> tuple[Sequence[User], str]:
        """Return up to `limit` (1-60) people, and what to ask `after` for the next ones; "" at the end."""

    def set_role(self, user: str, role: Role) -> None:
        """Let a person do more or less, from the next token on. Raises LookupError when there is none."""

    def delete(self, user: str) -> None:
        """Remove a person; removing who is absent is fine."""


class Counters(Protocol):
    """Running totals that are read without counting anything again."""

    def add(self, name: str, amount: float = 1) -> None:
        """Add to a total. Cheap: what was added in the last seconds may be lost when the power fails."""

    def time(self, name: str, seconds: float) -> None:
        """Add a duration to the totals of its histogram (`anc.services.platform_metrics`)."""

    def read(self) -> Mapping[str, float]:
        """Return all totals."""


class Limits(Protocol):
    """How much a caller may ask for in a minute. All who answer for the platform count together."""

    def wait_s(self, what: str, caller: str, per_minute: int, amount: int = 1) -> int:
        """Take `amount` out of the caller's minute and return 0, or return the seconds (1-60) to wait.

        What is refused takes nothing. More than the whole minute's is taken as the whole minute's.
        """


class SigningKeys(Protocol):
    """Public keys of the token issuer."""

    def key_for(self, token: str) -> Any:
        """Return the public key that the token's `kid` names. Raises LookupError when there is none."""


class Endpoint(Protocol):
    """A larger model that names noises, on a machine of its own, which may be absent, slow or wrong."""

    @property
    def configured(self) -> bool:
        """Whether there is one to ask."""

    def invoke(self, request: bytes) -> bytes:
        """Return the response to a JSON document (`sagemaker/inference.py`), at most `MAX_RESPONSE_BYTES`.

        Calls it once. Raises EndpointUnavailable if there is none, it fails, or it times out.
        """


class SessionCache:
    """The sessions that this process committed last, so that the next block skips a read. Thread-safe.

    The conditional write still rejects a cached session that another process has continued.
    """

    MAX_SESSIONS = 256

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, session: str) -> Any:
        """Remove and return a cached session, or None.

        Removing it prevents two threads from using the same filter, and an interrupted block from leaving a
        changed filter behind.
        """
        with self._lock:
            return self._sessions.pop(session, None)

    def put(self, session: str, cached: Any) -> None:
        """Cache a session after its commit; evict the least recently written one."""
        with self._lock:
            self._sessions[session] = cached
            if len(self._sessions) > self.MAX_SESSIONS:
                self._sessions.popitem(last=False)

    def discard(self, session: str) -> None:
        """Remove a session from the cache."""
        self.take(session)


class Alerts(Protocol):
    """Notifications of emergencies to subscribers."""

    def publish(self, subject: str, text: str) -> None:
        """Send a notification. Failures are not retried: the headset is transparent already."""


class FloodLimiter:
    """What each headset has had this instance work on lately, so that none takes the time of the others."""

    def __init__(self) -> None:
        self._kinds: dict[str, TokenBucket] = {}

    def allow(self, kind: str, thing: str, per_minute: int) -> bool:
        """Note a message of a headset; return whether it may be worked on. A minute's worth comes at once."""
        known = self._kinds.get(kind) or self._kinds.setdefault(
            kind, TokenBucket(per_minute / 60, per_minute)
        )
        return known.take(thing)


@dataclass(frozen=True, kw_only=True)
class Dependencies(Tables):
    """The tables and ports that every service function takes as `deps`."""

    settings: Settings
    updates: Queue
    recordings: Queue
    shadows: Shadows
    things: Things
    sockets: Sockets
    alerts: Alerts
    objects: Objects
    keys: SigningKeys
    people: People
    counters: Counters
    limits: Limits
    reclassifications: Queue
    endpoint: Endpoint
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    clock: Callable[[], float] = time.time
    session_cache: SessionCache = field(default_factory=SessionCache)
    flood_limiter: FloodLimiter = field(default_factory=FloodLimiter)
    read_cache: ReadCache = field(default_factory=ReadCache)

    def count(self, event: str) -> None:
        """Count something that happened."""
        self.counters.add(event)
