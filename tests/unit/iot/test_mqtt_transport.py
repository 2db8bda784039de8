"""The MQTT connection of the headset: retries with random delays, and readiness."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from awscrt.exceptions import AwsCrtError

from iot import mqtt_transport as module
from iot.mqtt_transport import INITIAL_RETRY_S, MAX_RETRY_S, MqttTransport
from tests.processes import PATIENCE_S
from tests.unit.iot.headset import NOWHERE


def completed(fault: Exception | None = None) -> "Future[Any]":
    future: Future[Any] = Future()
    if fault:
        future.set_exception(fault)
    else:
        future.set_result(None)
    return future


class FakeClient:
    """The library's client, on a network where the first few attempts fail."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.down = 0
        self.published: list[str] = []
        self.subscriptions: dict[str, Future[Any]] = {}
        self.subscribed = threading.Event()
        self.topics = 1

    def connect(self) -> "Future[Any]":
        self.down -= 1
        return completed(AwsCrtError(1, "AWS_ERROR_MQTT_TIMEOUT", "") if self.down >= 0 else None)

    def disconnect(self) -> "Future[Any]":
        return completed()

    def subscribe(self, topic: str, *_: Any) -> "tuple[Future[Any], int]":
        self.subscriptions[topic] = Future()
        if len(self.subscriptions) == self.topics:
            self.subscribed.set()
        return self.subscriptions[topic], 1

    def publish(self, topic: str, payload: bytes, qos: Any) -> None:
        self.published.append(topic)


class RecordingEvent(threading.Event):
    """Records timeouts and returns at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[MqttTransport, FakeClient]]:
    """Give `connect(when_online)`: a transport that has not started, and the client in it."""
    monkeypatch.setattr(module.mqtt_connection_builder, "mtls_from_bytes", FakeClient)

    def make(when_online: Callable[[], None] = lambda: None) -> tuple[MqttTransport, FakeClient]:
        transport = MqttTransport("h1", NOWHERE, when_online)
        transport.subscribe("a", lambda payload: None)
        return transport, transport._client

    return make


def test_each_headset_draws_its_own_reconnect_delays(connect: Callable[..., Any]) -> None:
    options = [connect()[1].options for _ in range(300)]
    first = [each["reconnect_min_timeout_secs"] for each in options]
    longest = [each["reconnect_max_timeout_secs"] for each in options]
    assert (min(first), max(first)) == INITIAL_RETRY_S
    assert max(map(first.count, first)) < 0.25 * len(first), (
        "more than a quarter of the fleet would reconnect at once"
    )
    assert MAX_RETRY_S[0] <= min(longest) < max(longest) <= MAX_RETRY_S[1]


def test_failed_attempts_back_off_with_random_delays(
    connect: Callable[..., Any],
) -> None:
    waits = []
    for _ in range(2):
        transport, client = connect()
        client.down, transport._stopping = 12, RecordingEvent()
        transport.start()
        assert client.subscribed.wait(PATIENCE_S)
        waits.append(transport._stopping.waits)
    assert all(len(each) == 12 and max(each) <= MAX_RETRY_S[0] for each in waits)
    assert all(INITIAL_RETRY_S[0] / 2 <= each[0] <= INITIAL_RETRY_S[1] for each in waits)
    assert all(each[-1] >= MAX_RETRY_S[0] / 2 for each in waits)
    assert len({*waits[0], *waits[1]}) == 24


def test_a_headset_is_online_from_the_last_subscription_until_the_connection_is_lost(
    connect: Callable[..., Any],
) -> None:
    online = threading.Event()
    transport, client = connect(online.set)
    transport.subscribe("b", lambda payload: None)
    client.topics = 2
    transport.start()
    assert client.subscribed.wait(PATIENCE_S)
    client.subscriptions["a"].set_result(None)
    assert not transport.publish("t", b"")
    client.subscriptions["b"].set_result(None)
    assert online.wait(PATIENCE_S)
    assert transport.publish("t", b"")
    client.options["on_connection_interrupted"](error=AwsCrtError(1, "AWS_ERROR_MQTT_TIMEOUT", ""))
    assert not transport.publish("t", b"")
    assert client.published == ["t"]
