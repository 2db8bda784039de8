"""MQTT 5, sessions and wills, with the MQTT 5 client of AWS IoT and with plain TLS sockets."""

import base64
import json
import queue
import ssl
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from awscrt import mqtt5
from awsiot import mqtt5_client_builder

from anc.ports import Credentials
from local.mqtt import packets
from tests.processes import PATIENCE_S

SHADOW = "$aws/things/{}/shadow/name/anc/{}"
ACCEPTED, SESSION_PRESENT = b"\x20\x02\x00\x00", b"\x20\x02\x01\x00"


class Mqtt5Client:
    """A headset's MQTT 5 connection; `events` holds what happens to it."""

    def __init__(self, credentials: Credentials, client_id: str) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = mqtt5_client_builder.mtls_from_bytes(
            credentials.certificate.encode(),
            credentials.private_key.encode(),
            endpoint=credentials.endpoint,
            port=credentials.port,
            ca_bytes=credentials.ca.encode(),
            client_id=client_id,
            on_lifecycle_connection_success=lambda data: self.events.put(("connected", data)),
            on_lifecycle_connection_failure=lambda data: self.events.put(("refused", data.connack_packet)),
            on_lifecycle_disconnection=lambda data: self.events.put(("lost", data.disconnect_packet)),
            on_publish_received=lambda data: self.events.put(("message", data.publish_packet)),
        )
        self.client.start()

    def next(self, kind: str) -> Any:
        """Return the details of the next event, which must be of a kind."""
        found, details = self.events.get(timeout=PATIENCE_S)
        assert found == kind, (found, details)
        return details

    def subscribe(self, topic_filter: str) -> mqtt5.SubackPacket:
        wanted = [mqtt5.Subscription(topic_filter, mqtt5.QoS.AT_LEAST_ONCE)]
        return self.client.subscribe(mqtt5.SubscribePacket(wanted)).result(PATIENCE_S)

    def publish(self, topic: str, payload: bytes) -> Any:
        return self.client.publish(
            mqtt5.PublishPacket(topic=topic, qos=mqtt5.QoS.AT_LEAST_ONCE, payload=payload)
        )


@pytest.fixture
def mqtt5_headset(site: Any) -> Iterator[Callable[..., Mqtt5Client]]:
    """Return `mqtt5_headset(thing)`, which enrols a thing and starts its client."""
    clients = []

    def start(thing: str, client_id: str = "") -> Mqtt5Client:
        clients.append(Mqtt5Client(site.create(thing), client_id or thing))
        return clients[-1]

    yield start
    for each in clients:
        each.client.stop()


def connect_packet(
    thing: str,
    clean: bool = True,
    level: int = 4,
    name: bytes = b"\0\x04MQTT",
    will: tuple[str, bytes] | None = None,
) -> bytes:
    def text(value: bytes) -> bytes:
        return struct.pack(">H", len(value)) + value

    flags = 2 * clean | (0x0C if will else 0)
    tail = text(thing.encode()) + (text(will[0].encode()) + text(will[1]) if will else b"")
    body = name + struct.pack(">BBH", level, flags, 60) + tail
    return bytes([0x10, len(body)]) + body


def subscribe_packet(topic_filter: str) -> bytes:
    name = topic_filter.encode()
    body = b"\0\x01" + struct.pack(">H", len(name)) + name + b"\x01"
    return bytes([0x82, len(body)]) + body


def read_packet(tls: ssl.SSLSocket) -> tuple[int, bytes]:
    first, length, shift = read(tls, 1)[0], 0, 0
    while True:
        digit = read(tls, 1)[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return first, read(tls, length)


def read(tls: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += tls.recv(size - len(data)) or pytest.fail("connection closed")
    return data


def test_an_mqtt_5_headset_exchanges_messages_and_learns_the_limits(site: Any, mqtt5_headset: Any) -> None:
    headset = mqtt5_headset("five")
    settings = headset.next("connected").negotiated_settings
    assert settings.maximum_qos == mqtt5.QoS.AT_LEAST_ONCE
    assert not settings.retain_available
    assert not settings.shared_subscriptions_available
    granted = headset.subscribe(SHADOW.format("five", "update/#"))
    assert granted.reason_codes == [mqtt5.SubackReasonCode.GRANTED_QOS_1]
    headset.publish(SHADOW.format("five", "update"), b'{"state": {"reported": {"mode": "cancel"}}}').result(
        PATIENCE_S
    )
    message = headset.next("message")
    assert message.topic == SHADOW.format("five", "update/accepted")
    assert json.loads(message.payload)["state"] == {"reported": {"mode": "cancel"}}


def test_mqtt_5_refusals_carry_a_reason(site: Any, mqtt5_headset: Any) -> None:
    headset = mqtt5_headset("asks")
    headset.next("connected")
    refused = headset.subscribe("anc/asks/#")
    assert refused.reason_codes == [mqtt5.SubackReasonCode.NOT_AUTHORIZED]
    assert refused.reason_string == "the headset may not subscribe to anc/asks/#"
    headset.publish("anc/asks/hello", b"")
    lost = headset.next("lost")
    assert lost.reason_code == mqtt5.DisconnectReasonCode.NOT_AUTHORIZED
    assert lost.reason_string == "the headset may not publish on anc/asks/hello"
    assert report_of(site, "asks", "subscription_refused")["explanation"] == refused.reason_string
    assert report_of(site, "asks", "disconnected")["explanation"] == lost.reason_string


def report_of(site: Any, thing: str, *events: str) -> dict[str, Any]:
    """Wait for a presence event of a thing."""
    while True:
        report = site.reports.messages.get(timeout=PATIENCE_S)
        document: dict[str, Any] = json.loads(base64.b64decode(report["payload"]))
        if report["thing"] == thing and document.get("eventType", "will") in events:
            return document


def test_an_mqtt_5_client_with_another_client_id_gets_the_right_one(mqtt5_headset: Any) -> None:
    connack = mqtt5_headset("right", client_id="wrong").next("refused")
    assert connack.reason_code == mqtt5.ConnectReasonCode.CLIENT_IDENTIFIER_NOT_VALID
    assert connack.reason_string == "the client id must be the name of the headset, right"


@pytest.mark.parametrize(
    ("level", "name", "answer"),
    [
        (3, b"\0\x06MQIsdp", b"\x20\x02\0\x01"),  # MQTT 3.1
        (6, b"\0\x04MQTT", b"\x20"),  # a later version, answered as MQTT 5: reason code 0x84
    ],
)
def test_other_versions_are_refused_with_a_code_and_a_reason_for_the_owner(
    site: Any, raw: Callable[..., Any], level: int, name: bytes, answer: bytes
) -> None:
    tls = raw(site.create(f"level{level}"))
    tls.sendall(connect_packet("x", level=level, name=name))
    first, body = read_packet(tls)
    assert bytes([first, len(body)]) + body == answer or body[:2] == bytes([0, packets.NOT_SUPPORTED_VERSION])
    explanation = report_of(site, f"level{level}", "connect_failed")["explanation"]
    assert f"(got level {level})" in explanation


def test_a_persistent_session_keeps_subscriptions_and_messages(site: Any, raw: Callable[..., Any]) -> None:
    credentials = site.create("keeps")
    first = raw(credentials)
    first.sendall(
        connect_packet("keeps", clean=False) + subscribe_packet(SHADOW.format("keeps", "update/delta"))
    )
    assert read(first, 4) == ACCEPTED
    assert read_packet(first) == (0x90, b"\0\x01\x01")
    first.sendall(b"\xe0\0")
    assert first.recv(1) == b""
    site.shadows.update("keeps", {"mode": "bypass"})
    second = raw(credentials)
    second.sendall(connect_packet("keeps", clean=False))
    assert read(second, 4) == SESSION_PRESENT
    _, message = read_packet(second)
    assert message[2:].startswith(SHADOW.format("keeps", "update/delta").encode())
    third = raw(credentials)
    third.sendall(connect_packet("keeps", clean=False))
    assert read(third, 4) == SESSION_PRESENT
    first_byte, again = read_packet(third)
    assert (first_byte & 0x08, again) == (0x08, message)  # not acknowledged yet
    fourth = raw(credentials)
    fourth.sendall(connect_packet("keeps", clean=True))
    assert read(fourth, 4) == ACCEPTED


@pytest.mark.parametrize(("farewell", "published"), [(b"", True), (b"\xe0\0", False)])
def test_the_will_is_published_when_the_connection_is_lost(
    site: Any, raw: Callable[..., Any], farewell: bytes, published: bool
) -> None:
    name = f"will{int(published)}"
    credentials = site.create(name)
    tls = raw(credentials)
    tls.sendall(connect_packet(name, will=(f"anc/{name}/telemetry", b'{"battery": 0.1}')))
    assert read(tls, 4) == ACCEPTED
    tls.sendall(farewell)
    tls.close()
    if published:
        assert report_of(site, name, "will") == {"battery": 0.1}
    else:
        found = report_of(site, name, "will", "disconnected")
        assert found["eventType"] == "disconnected"


def test_a_will_on_a_foreign_topic_is_refused(site: Any, raw: Callable[..., Any]) -> None:
    tls = raw(site.create("heir"))
    tls.sendall(connect_packet("heir", will=("anc/other/telemetry", b"{}")))
    assert read(tls, 4) == b"\x20\x02\0\x05"
