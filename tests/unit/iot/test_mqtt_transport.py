"""How a headset comes to its line, and comes back to it: by itself, and not with all the others at once."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from awscrt.exceptions import AwsCrtError

from iot import mqtt_transport as module
from iot.mqtt_transport import FIRST_RETRY_S, LONGEST_RETRY_S, MqttTransport
from tests.processes import PATIENCE_S
from tests.unit.iot.headset import NOWHERE


def done(fault: Exception | None = None) -> "Future[Any]":
    future: Future[Any] = Future()
    if fault:
        future.set_exception(fault)
    else:
        future.set_result(None)
    return future


class Client:
    """The library's client, on a network that is down for the first few attempts."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.down = 0
        self.published: list[str] = []
        self.subscriptions: dict[str, Future[Any]] = {}
        self.subscribed = threading.Event()
        self.topics = 1

    def connect(self) -> "Future[Any]":
        self.down -= 1
        return done(AwsCrtError(1, "AWS_ERROR_MQTT_TIMEOUT", "") if self.down >= 0 else None)

    def disconnect(self) -> "Future[Any]":
        return done()

    def subscribe(self, topic: str, *_: Any) -> "tuple[Future[Any], int]":
        self.subscriptions[topic] = Future()
        if len(self.subscriptions) == self.topics:
            self.subscribed.set()
        return self.subscriptions[topic], 1

    def publish(self, topic: str, payload: bytes, qos: Any) -> None:
        self.published.append(topic)


class Patience(threading.Event):
    """Notes for how long somebody meant to wait, and lets nobody wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[MqttTransport, Client]]:
    """Give `connect(when_online)`: a connection that has not begun, and the client in it."""
    monkeypatch.setattr(module.mqtt_connection_builder, "mtls_from_bytes", Client)

    def make(when_online: Callable[[], None] = lambda: None) -> tuple[MqttTransport, Client]:
        connection = MqttTransport("h1", NOWHERE, when_online)
        connection.on("a", lambda payload: None)
        return connection, connection._client

    return make


def test_each_headset_draws_its_own_delays_for_coming_back(connect: Callable[..., Any]) -> None:
    options = [connect()[1].options for _ in range(300)]
    first = [each["reconnect_min_timeout_secs"] for each in options]
    longest = [each["reconnect_max_timeout_secs"] for each in options]
    assert (min(first), max(first)) == FIRST_RETRY_S
    assert max(map(first.count, first)) < 0.25 * len(first), "no wave of more than a quarter of the fleet"
    assert LONGEST_RETRY_S[0] <= min(longest) < max(longest) <= LONGEST_RETRY_S[1]


def test_a_headset_that_finds_no_network_tries_on_less_and_less_often_and_never_in_step(
    connect: Callable[..., Any],
) -> None:
    waits = []
    for _ in range(2):
        connection, client = connect()
        client.down, connection._stopping = 12, Patience()
        connection.start()
        assert client.subscribed.wait(PATIENCE_S)
        waits.append(connection._stopping.waits)
    assert all(len(each) == 12 and max(each) <= LONGEST_RETRY_S[0] for each in waits)
    assert all(FIRST_RETRY_S[0] / 2 <= each[0] <= FIRST_RETRY_S[1] for each in waits)
    assert all(each[-1] >= LONGEST_RETRY_S[0] / 2 for each in waits)
    assert len({*waits[0], *waits[1]}) == 24


def test_a_headset_is_online_when_all_it_listens_to_stands_and_until_the_line_breaks(
    connect: Callable[..., Any],
) -> None:
    came = threading.Event()
    connection, client = connect(came.set)
    connection.on("b", lambda payload: None)
    client.topics = 2
    connection.start()
    assert client.subscribed.wait(PATIENCE_S)
    client.subscriptions["a"].set_result(None)
    assert not connection.publish("t", b"")
    client.subscriptions["b"].set_result(None)
    assert came.wait(PATIENCE_S)
    assert connection.publish("t", b"")
    client.options["on_connection_interrupted"](error=AwsCrtError(1, "AWS_ERROR_MQTT_TIMEOUT", ""))
    assert not connection.publish("t", b"")
    assert client.published == ["t"]
