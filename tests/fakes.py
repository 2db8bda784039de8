"""Local dependencies for tests of services and handlers, with a controllable clock."""

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import local.server  # noqa: F401  first: it switches the handlers' cloud tools off
from anc.circuit_breaker import CircuitBreaker
from anc.memory_limits import MemoryLimits
from anc.ports import Credentials, Dependencies, EndpointUnavailable, Gone, OperationDurations
from anc.read_cache import ReadCache
from anc.schemas.messages import SenderMessage, decode
from anc.services import platform_metrics
from anc.services.access.identity import Caller
from anc.settings import Settings
from local.auth.issuer import Issuer, _read
from local.auth.users import LocalUsers
from local.http.signed_urls import SignedUrls
from local.mqtt.jobs import LocalJobs
from local.mqtt.shadows import LocalShadows
from local.storage.database import Database
from local.storage.fleet_index import SqliteFleetIndex
from local.storage.objects import FileObjects
from local.storage.queues import SqliteQueue
from local.storage.tables import open_tables

ALICE, BOB = Caller("alice"), Caller("bob")


@dataclass
class Clock:
    """A clock that a test advances."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeSockets:
    """Fake connections that record posted frames; those in `gone` are closed."""

    posted: list[tuple[str, str]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)

    def close(self, connection: str) -> None:
        self.closed.append(connection)

    def post(self, connection: str, text: str) -> None:
        if connection in self.gone:
            raise Gone(connection)
        self.posted.append((connection, text))


@dataclass
class FakeThings:
    """A fake certificate registry with owner and state of each certificate."""

    revoked: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    enrolled: int = 0

    def create(self, thing: str) -> Credentials:
        self.enrolled += 1
        certificate = f"cert-{thing}-{self.enrolled}"
        self.attach_certificate(thing, certificate)
        return Credentials(certificate, "", "", "", "127.0.0.1", 8883)

    def attach_certificate(self, thing: str, certificate_id: str) -> None:
        self.owners[certificate_id] = thing

    def activate(self, thing: str, certificate_id: str) -> None:
        if self.owners.get(certificate_id) == thing:
            self.active.add(certificate_id)

    def certificates(self, thing: str) -> list[str]:
        return [certificate for certificate, owner in self.owners.items() if owner == thing]

    def revoke(self, thing: str, certificate_ids: Collection[str]) -> None:
        self.revoked += sorted(certificate_ids)
        for certificate in certificate_ids:
            self.owners.pop(certificate, None)
            self.active.discard(certificate)

    def remove(self, thing: str) -> None:
        pass


@dataclass
class FakeAlerts:
    """A fake alert topic that records messages."""

    messages: list[str] = field(default_factory=list)

    def publish(self, subject: str, text: str) -> None:
        self.messages.append(text)


@dataclass
class FakeEndpoint:
    """A fake endpoint that returns `response`, or raises it if it is an exception."""

    response: bytes | Exception | None = None
    requests: list[bytes] = field(default_factory=list)

    @property
    def configured(self) -> bool:
        return self.response is not None

    def invoke(self, request: bytes) -> bytes:
        self.requests.append(request)
        if not isinstance(self.response, bytes):
            raise self.response or EndpointUnavailable("absent")
        return self.response


class FakeCounters(Counter[str]):
    """Counters that a test can read."""

    def add(self, name: str, amount: float = 1) -> None:
        self[name] += amount  # type: ignore[assignment]

    def time(self, name: str, seconds: float) -> None:
        for part, amount in platform_metrics.histogram_increments(name, seconds):
            self.add(part, amount)

    def read(self) -> dict[str, float]:
        return dict(self)

    def durations(self, since: float, until: float, step_s: float) -> list[OperationDurations]:
        return []


@dataclass
class FakePlatform:
    """The dependencies, with the fakes that tests read."""

    __test__ = False
    deps: Dependencies
    clock: Clock
    sockets: FakeSockets
    things: FakeThings
    alerts: FakeAlerts
    updates: SqliteQueue
    recordings: SqliteQueue
    counts: FakeCounters
    issuer: Issuer
    reclassifications: SqliteQueue
    endpoint: FakeEndpoint
    jobs: LocalJobs

    def messages(self) -> list[SenderMessage]:
        """Return the updates that are due."""
        return [decode(message.body, SenderMessage) for message in self.updates.receive(10)]


def make_dependencies(folder: Path, clock: Clock, **settings: Any) -> FakePlatform:
    """Create dependencies in a folder; a second call on it acts as a restart."""
    database = Database(folder / "anc.db")
    counts = FakeCounters()
    configured = Settings(**settings)
    sockets, things, alerts = FakeSockets(), FakeThings(), FakeAlerts()
    issuer = _issuer(folder, configured)
    updates = SqliteQueue(database, "updates", clock=clock)
    recordings = SqliteQueue(database, "recordings", clock=clock)
    reclassifications = SqliteQueue(database, "reclassifications", clock=clock)
    endpoint = FakeEndpoint()
    jobs = LocalJobs(database, clock=clock)
    deps = Dependencies(
        **open_tables(database, clock),
        settings=configured,
        updates=updates,
        recordings=recordings,
        shadows=LocalShadows(database),
        things=things,
        fleet_index=SqliteFleetIndex(database),
        headset_jobs=jobs,
        sockets=sockets,
        alerts=alerts,
        objects=FileObjects(folder / "objects", SignedUrls(b"secret", "http://testserver", clock)),
        keys=issuer,
        users=LocalUsers(database, issuer, clock),
        counters=counts,
        limits=MemoryLimits(clock),
        reclassifications=reclassifications,
        endpoint=endpoint,
        circuit_breaker=CircuitBreaker(clock=clock),
        read_cache=ReadCache(clock),
        fleet_cache=ReadCache(clock, ttl_s=60.0),
        clock=clock,
    )
    return FakePlatform(
        deps,
        clock,
        sockets,
        things,
        alerts,
        updates,
        recordings,
        counts,
        issuer,
        reclassifications,
        endpoint,
        jobs,
    )


@cache
def signing_key() -> rsa.RSAPrivateKey:
    """Return the signing key shared by all tests, because creating one is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _signing_pem() -> bytes:
    return signing_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _issuer(folder: Path, settings: Settings) -> Issuer:
    with suppress(FileExistsError), (folder / "issuer.pem").open("xb") as file:
        file.write(_signing_pem())
    with patch("local.auth.issuer._read", _read_key):
        return Issuer(folder, settings)


def _read_key(path: Path) -> rsa.RSAPrivateKey:
    """Read a private key. The shared one is not validated again, which takes longer than most tests."""
    return signing_key() if path.read_bytes() == _signing_pem() else _read(path)
