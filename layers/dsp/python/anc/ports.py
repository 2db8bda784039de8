"""Interfaces to storage, messaging and identity that the services use, as Protocols.

`anc.aws` implements them on AWS and `local` on one machine. The tests in `tests/contract` run against both.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, NamedTuple, Protocol

from aws_lambda_powertools import Logger

from anc.circuit_breaker import CircuitBreaker
from anc.fleet_ports import FleetIndex, HeadsetJobs
from anc.read_cache import ReadCache
from anc.records import Role, User
from anc.schemas.messages import Message
from anc.schemas.refusal import Refused
from anc.settings import Settings
from anc.tables import Tables
from anc.token_bucket import TokenBucket
from anc.tracing import NO_TRACING, Tracing

logger = Logger(service="ports")

MIN_PART_BYTES = 5 * 1024 * 1024
MAX_RESPONSE_BYTES = 64 * 1024


class Conflict(Exception):
    """Another writer changed or created the record after it was read."""


class Gone(Exception):
    """The WebSocket is closed."""


class ObjectChanged(Exception):
    """The file no longer has the requested content."""


class StorageUnavailable(Exception):
    """The storage takes no writes at the moment, for example because the disk is full. Nothing was stored.

    Attributes
    ----------
    explanation : str
        For the client: what is wrong, and whether the request had an effect.
    wait_s : int
        Seconds after which the client may try again: an operator makes room, or a log is rotated.
    """

    explanation = "storage: takes no writes, perhaps because the disk is full; nothing was stored, try later"
    wait_s = 30

    def refusal(self) -> Refused:
        """Return the refusal of the request."""
        return Refused("unavailable", self.explanation, self.wait_s)


class EndpointUnavailable(Exception):
    """The endpoint did not respond. The message gives the reason and no part of the request."""


class Queue(Protocol):
    """At-least-once delivery of messages to the function that consumes the queue."""

    def send(self, message: Message, delay_s: int = 0) -> None:
        """Store the message durably; it is delivered after `delay_s` (0-900) seconds."""


class Backlog(NamedTuple):
    """What a queue holds.

    Attributes
    ----------
    messages : int
        Waiting, delayed or in flight.
    age_s : float
        Seconds since the first of them could have been delivered; 0 without any.
    dead : int
        Dead letters.
    """

    messages: int
    age_s: float
    dead: int


class Shadows(Protocol):
    """The named shadow `anc` of each thing."""

    def get(self, thing: str) -> dict[str, Any] | None:
        """Return the shadow document with `state` and `version`, or None."""

    def update(self, thing: str, desired: Mapping[str, Any]) -> None:
        """Merge `desired` into the desired state and remove keys set to None. The total limit is 8 KB."""


class Credentials(NamedTuple):
    """Certificate, key and CA (PEM) of a headset, and the endpoint. The platform does not store the key.

    The environment is part of some topics (`anc.schemas.topics`); a platform on one machine has none.
    """

    certificate_id: str
    certificate: str
    private_key: str
    ca: str
    endpoint: str
    port: int
    environment: str = ""


class Things(Protocol):
    """The registry of headsets and their certificates. Every call may be repeated.

    A certificate grants no access before it is activated or after it was revoked, in whatever order the two
    calls arrive. A caller that stores the certificate id before activating it leaves no valid certificate
    behind when a removal runs at the same time.
    """

    def create(self, thing: str) -> Credentials:
        """Create the thing if it does not exist, and an inactive certificate bound to its name.

        Raises Refused, `exists`, when the name belongs to another deployment or application.
        """

    def attach_certificate(self, thing: str, certificate_id: str) -> None:
        """Bind the inactive certificate of a claim to a thing's name. Raises Refused, as `create`."""

    def activate(self, thing: str, certificate_id: str) -> None:
        """Activate a certificate of a thing, unless it was revoked."""

    def certificates(self, thing: str) -> Sequence[str]:
        """Return the ids of all certificates of a thing, active or not."""

    def revoke(self, thing: str, certificate_ids: Collection[str]) -> None:
        """Revoke certificates of a thing immediately and permanently, and close its connection."""

    def remove(self, thing: str) -> None:
        """Delete a thing without certificates, and its shadow."""


class Sockets(Protocol):
    """Open WebSockets of clients."""

    def post(self, connection: str, text: str) -> None:
        """Send one text frame. Raises Gone when the socket is closed."""

    def close(self, connection: str) -> None:
        """Close the socket. Closing a closed socket has no effect."""


class ObjectInfo(NamedTuple):
    """Size of a stored file in bytes, and an ETag that changes with its content."""

    size: int
    etag: str


class Objects(Protocol):
    """Files by key: recordings, results and reports, stored whole or in parts, read whole or by ranges.

    A file in parts becomes visible when it is finished. Every part except the last has at least
    `MIN_PART_BYTES` bytes.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store a file atomically."""

    def get(self, key: str) -> bytes | None:
        """Return the file, or None."""

    def delete(self, key: str) -> None:
        """Delete the file, if it exists."""

    def info(self, key: str) -> ObjectInfo | None:
        """Return size and ETag of a file, or None."""

    def open(self, key: str, etag: str) -> BinaryIO:
        """Return a seekable reader that fetches ranges as needed.

        Opening and reading raise ObjectChanged if the ETag of the file is not `etag`.
        """

    def begin(self, key: str) -> str:
        """Begin a file in parts; return the id of the upload, which the other methods take as `parts`."""

    def put_part(self, key: str, parts: str, number: int, data: bytes) -> None:
        """Store or replace a part, numbered from 1. Raises LookupError when the file is finished."""

    def stored_parts(self, key: str, parts: str) -> Sequence[int]:
        """Return the numbers of the stored parts, ascending; empty for a finished or abandoned upload."""

    def finish(self, key: str, parts: str) -> None:
        """Create the file from its parts, in order. Idempotent. Raises LookupError if there are no parts."""

    def abandon(self, key: str, parts: str) -> None:
        """Delete the parts of an unfinished upload. Has no effect on a finished one."""

    def upload_link(self, key: str, size: int, expires_s: int) -> str:
        """Return a URL that accepts a PUT of exactly `size` bytes as the whole file."""

    def part_link(self, key: str, parts: str, number: int, size: int, expires_s: int) -> str:
        """Return a URL that accepts a PUT of exactly `size` bytes as one part."""

    def download_link(self, key: str, expires_s: int, name: str) -> str:
        """Return a public URL that downloads the file as `name`."""


class Grant(NamedTuple):
    """A bearer token, its lifetime in seconds, its role, and its subject."""

    token: str
    expires_in: int
    role: Role
    user: str


class CodeRequired(Exception):
    """The password is right, but the user has a second factor, and its code is missing."""


class Users(Protocol):
    """User accounts.

    `user` is the id of an account and the subject of its tokens. Ids are never reused, not even for a later
    account of the same name.
    """

    def sign_in(self, name: str, password: str, code: str = "") -> Grant | None:
        """Return a token, or None for a wrong name, password and code alike. Raises CodeRequired.

        `code` is that of an authenticator app (RFC 6238), for users with a second factor. Each is accepted
        once.
        """

    def begin_second_factor(self, name: str, password: str) -> str | None:
        """Return the secret for an authenticator app, in base32; None for a wrong name or password.

        It counts from `confirm_second_factor` on. Raises CodeRequired for a user with a second factor.
        """

    def confirm_second_factor(self, name: str, password: str, code: str) -> bool:
        """Require codes of the secret that `begin_second_factor` returned last, if this is one.

        Returns False for a wrong code or password. Raises CodeRequired for a user with a second factor.
        """

    def remove_second_factor(self, user: str) -> None:
        """Let a user sign in with the password alone again."""

    def create(self, name: str, password: str, role: Role) -> User:
        """Create a user. Raises Conflict if the name is taken, Refused if the password is too simple."""

    def get(self, user: str) -> User | None:
        """Return a user, or None."""

    def list(self, limit: int = 50, after: str = "") -> tuple[Sequence[User], str]:
        """Return up to `limit` (1-60) users and the `after` of the next page, "" on the last page."""

    def set_role(self, user: str, role: Role) -> None:
        """Change a user's role from the next token on. Raises LookupError for an unknown user."""

    def delete(self, user: str) -> None:
        """Delete a user, if it exists."""


class OperationDurations(NamedTuple):
    """Calls of an operation in an interval that begins at `at`: their number, at least 1, and percentiles."""

    at: float
    name: str
    calls: int
    p50_s: float
    p90_s: float
    p99_s: float


class Counters(Protocol):
    """Running totals of events and durations. Services count with `Dependencies.count` and `measure`."""

    def add(self, name: str, amount: float = 1) -> None:
        """Add to a total. Buffered: a crash may lose the additions of the last seconds.

        Never raises. Additions whose write fails are kept and written with later ones.
        """

    def time(self, name: str, seconds: float) -> None:
        """Add a duration to the totals of its histogram (`anc.services.platform_metrics`). Never raises."""

    def read(self) -> Mapping[str, float]:
        """Return all totals."""

    def durations(self, since: float, until: float, step_s: float) -> "Sequence[OperationDurations]":
        """Return the durations of intervals, the oldest first; those without a call are left out.

        Only operations of `anc.services.platform_metrics.PROCESSING`, for 30 days. The times are multiples of
        `step_s`, which is a number of whole minutes, or of whole hours if `since` is more than two days ago.
        May be up to half an interval old.
        """


class Limits(Protocol):
    """Rate limits per caller and minute, shared by all processes of the platform."""

    def wait_s(self, what: str, caller: str, per_minute: int, amount: int = 1) -> int:
        """Charge `amount` to the caller's budget for `what` and return 0, else the seconds (1-60) to wait.

        A call over the budget is not charged. An `amount` above `per_minute` is charged as `per_minute`.
        """


class SigningKeys(Protocol):
    """Public keys of the token issuer."""

    def key_for(self, token: str) -> Any:
        """Return the public key with the token's `kid`. Raises LookupError for an unknown key."""


class Endpoint(Protocol):
    """An optional larger noise classifier on another machine, which may be slow or return invalid data."""

    @property
    def configured(self) -> bool:
        """Whether an endpoint is configured."""

    def invoke(self, request: bytes) -> bytes:
        """Return the response to a JSON document (`sagemaker/inference.py`), at most `MAX_RESPONSE_BYTES`.

        Does not retry. Raises EndpointUnavailable if no endpoint is configured, it fails, or it times out.
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
        """Send a notification, without retries: the headset is in transparency mode already."""


class FloodLimiter:
    """Limit the messages per headset that this process handles, so that one cannot delay the others."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    def allow(self, kind: str, thing: str, per_minute: int) -> bool:
        """Count a message and return whether to handle it. Allows a burst of `per_minute` messages."""
        bucket = self._buckets.get(kind) or self._buckets.setdefault(
            kind, TokenBucket(per_minute / 60, per_minute)
        )
        return bucket.take(thing)


@dataclass(frozen=True, kw_only=True)
class Dependencies(Tables):
    """The tables and ports that every service function takes as `deps`."""

    settings: Settings
    updates: Queue
    recordings: Queue
    shadows: Shadows
    things: Things
    fleet_index: FleetIndex
    headset_jobs: HeadsetJobs
    sockets: Sockets
    alerts: Alerts
    objects: Objects
    keys: SigningKeys
    users: Users
    counters: Counters
    limits: Limits
    reclassifications: Queue
    endpoint: Endpoint
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    clock: Callable[[], float] = time.time
    backlogs: Callable[[], Mapping[str, Backlog]] = dict  # by queue; on AWS, CloudWatch has them
    tracing: Tracing = NO_TRACING
    session_cache: SessionCache = field(default_factory=SessionCache)
    flood_limiter: FloodLimiter = field(default_factory=FloodLimiter)
    read_cache: ReadCache = field(default_factory=ReadCache)
    fleet_cache: ReadCache = field(default_factory=partial(ReadCache, ttl_s=60.0, max_records=200))

    def count(self, event: str, amount: float = 1) -> None:
        """Add to the total of an event. Never raises: a counter must not fail what it counts."""
        with self.best_effort("", "counter"):
            self.counters.add(event, amount)

    def measure(self, name: str, seconds: float) -> None:
        """Add a duration to a histogram. Never raises."""
        with self.best_effort("", "histogram"):
            self.counters.time(name, seconds)

    @contextmanager
    def best_effort(self, failure: str, what: str) -> Iterator[None]:
        """Log a failure of work that other work must not depend on, and count it as `failure`."""
        try:
            yield
        except Exception as fault:  # noqa: BLE001  storage raises errors of its own
            logger.warning(f"{what} failed", fault=f"{type(fault).__name__}: {fault}")
            if failure:
                self.count(failure)
