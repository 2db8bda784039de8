"""A broker on its own event loop, with the registry, the shadows and fake queues behind it."""

import asyncio
import queue
import socket
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from awscrt import mqtt
from awsiot import mqtt_connection_builder

from anc.ports import Credentials
from local.auth.certificates import Authority
from local.mqtt.broker import Broker
from local.mqtt.claims import ClaimProvisioning
from local.mqtt.jobs import LocalJobs
from local.mqtt.message_rates import MessageRates
from local.mqtt.shadows import LocalShadows
from local.mqtt.things import LocalThings
from local.storage.database import Database
from tests.processes import PATIENCE_S


class Snapshots:
    """A fake queue; `failing` makes it fail, `unblocked` cleared makes it wait."""

    def __init__(self) -> None:
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.failing = False
        self.unblocked = threading.Event()
        self.unblocked.set()

    def put(self, body: Mapping[str, Any], delay_s: int = 0) -> None:
        assert self.unblocked.wait(PATIENCE_S)
        if self.failing:
            raise OSError("disk full")
        self.messages.put(dict(body))


class Counts(Counter[str]):
    """Counters on which a test can wait."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def count(self, name: str) -> None:
        with self._changed:
            self[name] += 1
            self._changed.notify_all()

    def wait_for(self, name: str, times: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self[name] >= times, PATIENCE_S), (name, dict(self))


class Site:
    """A broker with its storage; it can be stopped and restarted on the same port and data."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.database = Database(folder / "anc.db")
        self.authority = Authority(folder / "ca")
        self.snapshots = Snapshots()
        self.reports = Snapshots()
        self.counts = Counts()
        self.allow_claims = True
        self.port = 0
        self.rates: MessageRates | None = None
        self.start()

    def start(self) -> None:
        self.things = LocalThings(self.database, self.authority, self.port)
        self.shadows = LocalShadows(self.database)
        self.jobs = LocalJobs(self.database)
        self.broker = Broker(
            self.port,
            self.authority,
            self.things,
            self.shadows,
            self.jobs,
            {"snapshots": self.snapshots, "reports": self.reports},
            ClaimProvisioning(self.things, self.authority, self.allow_provisioning),
            self.counts.count,
            rates=self.rates,
        )
        self.run(self.broker.start())
        self.port = self.broker.port

    def allow_provisioning(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.allow_claims:
            self.things.attach_certificate(event["parameters"]["SerialNumber"], event["certificateId"])
        return {"allowProvisioning": self.allow_claims}

    def create(self, thing: str) -> Credentials:
        credentials = self.things.create(thing)
        self.things.activate(thing, credentials.certificate_id)
        return credentials._replace(port=self.port)

    def stop(self) -> None:
        self.run(self.broker.stop())

    def run(self, step: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(step, self.loop).result(PATIENCE_S)

    def close(self) -> None:
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)


class Client:
    """A headset's MQTT connection, with the client library of AWS IoT Core."""

    def __init__(self, credentials: Credentials, client_id: str) -> None:
        self.lost = threading.Event()
        self.connection = mqtt_connection_builder.mtls_from_bytes(
            credentials.certificate.encode(),
            credentials.private_key.encode(),
            endpoint=credentials.endpoint,
            port=credentials.port,
            ca_bytes=credentials.ca.encode(),
            client_id=client_id,
            clean_session=False,  # unacknowledged messages are sent again
            reconnect_min_timeout_secs=1,
            reconnect_max_timeout_secs=1,
            on_connection_interrupted=lambda **_: self.lost.set(),
        )

    def connect(self) -> "Client":
        self.connection.connect().result(PATIENCE_S)
        return self

    def subscribe(self, topic: str) -> "queue.Queue[bytes]":
        messages: queue.Queue[bytes] = queue.Queue()
        done, _ = self.connection.subscribe(
            topic, mqtt.QoS.AT_LEAST_ONCE, lambda payload, **_: messages.put(payload)
        )
        done.result(PATIENCE_S)
        return messages

    def publish(self, topic: str, payload: bytes) -> Any:
        done, _ = self.connection.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)
        return done

    def disconnect(self) -> None:
        with suppress(RuntimeError):  # raised when it was never connected
            disconnected = self.connection.disconnect()
            if not self.lost.is_set():  # else it would wait for the next attempt
                disconnected.result(PATIENCE_S)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The module's site with empty counters and queue."""
    shared_site.counts.clear()
    shared_site.snapshots.__init__()  # type: ignore[misc]
    return shared_site


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A site that the test may stop."""
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def headset(site: Site) -> Iterator[Callable[..., Client]]:
    """Return `headset(name)`, which enrols a thing and returns its connected client."""
    clients = []

    def connect(name: str, client_id: str = "", credentials: Credentials | None = None) -> Client:
        client = Client(credentials or site.create(name), client_id or name)
        clients.append(client)
        return client.connect()

    yield connect
    for client in clients:
        client.disconnect()


@pytest.fixture
def raw(site: Site) -> Iterator[Callable[..., ssl.SSLSocket]]:
    """Return `raw(credentials)`, which opens a TLS connection for arbitrary bytes."""
    opened = []

    def connect(credentials: Credentials | None, ca: str = "") -> ssl.SSLSocket:
        context = ssl.create_default_context(cadata=ca or site.authority.certificate)
        if credentials:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(credentials.certificate + credentials.private_key)
                file.flush()
                context.load_cert_chain(file.name)
        plain = socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE_S)
        tls = context.wrap_socket(plain, server_hostname="127.0.0.1")
        opened.append(tls)
        return tls

    yield connect
    for tls in opened:
        tls.close()
