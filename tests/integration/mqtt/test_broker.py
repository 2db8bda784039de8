"""The MQTT broker, with the client library of AWS IoT and with plain TLS sockets."""

import base64
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from awscrt.exceptions import AwsCrtError
from awscrt.mqtt import SubscribeError

from local.auth.certificates import Authority
from local.mqtt.broker import CONNECT_COST
from local.mqtt.message_rates import BURST_S, MAX_DELAY_S, MessageRates
from tests.integration.mqtt.conftest import Client
from tests.processes import PATIENCE_S

SNAPSHOT = "$aws/rules/anc_snapshot/anc/{}/snapshot"
SHADOW = "$aws/things/{}/shadow/name/anc/{}"


def connect_packet(client_id: str, level: int = 4, keep_alive_s: int = 60) -> bytes:
    name = client_id.encode()
    body = b"\x00\x04MQTT" + struct.pack(">BBHH", level, 2, keep_alive_s, len(name)) + name
    return bytes([0x10, len(body)]) + body


PING, PONG = b"\xc0\x00", b"\xd0\x00"


async def this_thread() -> int:
    return threading.get_ident()


def is_closed(tls: ssl.SSLSocket) -> bool:
    """Wait until the peer closes the connection; return whether it did."""
    try:
        while tls.recv(4096):
            pass
    except OSError as fault:
        return not isinstance(fault, TimeoutError)
    return True


# Connecting


def test_a_client_without_a_certificate_is_refused_in_the_handshake(site: Any, raw: Callable[..., Any]):
    try:
        tls = raw(None)
        tls.sendall(connect_packet("h"))
        assert is_closed(tls)
    except ssl.SSLError:
        pass
    site.counts.wait_for("mqtt_refused_tls")
    assert site.counts["mqtt_connected"] == 0


def test_connections_over_the_limit_are_closed_and_open_ones_stay(
    site: Any, raw: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(site.broker, "_max_connections", 2)
    first = raw(site.create("h1"))
    first.sendall(connect_packet("h1"))
    site.counts.wait_for("mqtt_connected")
    with socket.create_connection(("127.0.0.1", site.port), PATIENCE_S) as half:
        with socket.create_connection(("127.0.0.1", site.port), PATIENCE_S) as refused:
            assert refused.recv(1) == b""
        site.counts.wait_for("mqtt_refused_connection")
        assert half.send(b"\x16")
    first.sendall(PING)
    received = b""
    while not received.endswith(PONG):
        received += first.recv(4096) or pytest.fail("connection closed")


def test_a_certificate_of_a_foreign_authority_is_refused_in_the_handshake(
    site: Any, raw: Callable[..., Any], tmp_path: Path
):
    foreign = Authority(tmp_path / "foreign").issue("h1")
    ours = site.create("h1")
    try:
        tls = raw(ours._replace(certificate=foreign.certificate, private_key=foreign.private_key))
        tls.sendall(connect_packet("h1"))
        assert is_closed(tls)
    except ssl.SSLError:
        pass
    site.counts.wait_for("mqtt_refused_tls")
    assert site.counts["mqtt_connected"] == 0


def test_a_thing_cannot_connect_with_another_name(site: Any, headset: Callable[..., Any]):
    victim = headset("victim")
    delta = victim.subscribe(SHADOW.format("victim", "update/delta"))
    with pytest.raises(AwsCrtError):
        headset("thief", client_id="victim")
    site.counts.wait_for("mqtt_refused_client")
    site.shadows.update("victim", {"mode": "cancel"})
    assert json.loads(delta.get(timeout=PATIENCE_S))["state"] == {"mode": "cancel"}
    assert not victim.lost.is_set()


def test_an_unregistered_certificate_is_refused(site: Any, raw: Callable[..., Any]):
    other = site.authority.issue("h1")
    credentials = site.create("h1")._replace(certificate=other.certificate, private_key=other.private_key)
    tls = raw(credentials)
    tls.sendall(connect_packet("h1"))
    assert tls.recv(4) == b"\x20\x02\x00\x05"
    assert is_closed(tls)


def test_a_revoked_headset_is_disconnected_and_cannot_reconnect(site: Any, headset: Callable[..., Any]):
    credentials = site.create("gone")
    client = headset("gone", credentials=credentials)
    site.shadows.update("gone", {"mode": "cancel"})
    site.things.revoke("gone", [credentials.certificate_id])
    assert client.lost.wait(PATIENCE_S)
    with pytest.raises(AwsCrtError):
        headset("gone", credentials=credentials)
    site.things.remove("gone")
    assert site.shadows.get("gone") is None


def test_a_second_connection_of_a_thing_replaces_the_first(site: Any, headset: Callable[..., Any]):
    credentials = site.create("twice")
    first = headset("twice", credentials=credentials)
    second = headset("twice", credentials=credentials)
    assert first.lost.wait(PATIENCE_S)
    second.publish(SNAPSHOT.format("twice"), b"x").result(PATIENCE_S)
    assert site.snapshots.messages.get(timeout=PATIENCE_S)["thing"] == "twice"


def test_a_flooding_headset_is_throttled_and_disconnected_while_another_is_served(
    own_site: Any,
) -> None:
    paused = []

    async def pause(wait_s: float) -> None:
        paused.append(wait_s)

    own_site.stop()
    own_site.rates = MessageRates(10.0, 1e6, lambda: 0.0, pause)  # the clock stands still
    own_site.start()
    rogue, other = (Client(own_site.create(name), name).connect() for name in ("rogue", "other"))
    burst = int(10.0 * BURST_S) - CONNECT_COST
    for _ in range(burst):
        rogue.publish("anc/rogue/telemetry", b"{}").result(PATIENCE_S)
    assert paused == [], "a burst is not throttled"
    for _ in range(150):
        rogue.publish("anc/rogue/telemetry", b"{}")
    own_site.counts.wait_for("mqtt_throttled")
    assert rogue.lost.wait(PATIENCE_S)
    assert paused == sorted(paused)
    assert paused[-1] <= MAX_DELAY_S
    other.publish(SNAPSHOT.format("other"), b"x").result(PATIENCE_S)
    event = {}
    while event.get("eventType") != "disconnected":
        report = own_site.reports.messages.get(timeout=PATIENCE_S)
        event = json.loads(base64.b64decode(report["payload"]))
    assert (event["clientId"], event["disconnectReason"]) == ("rogue", "THROTTLED")
    for client in (rogue, other):
        client.disconnect()


# Publishing and subscribing


def test_a_snapshot_is_queued_before_it_is_acknowledged(site: Any, headset: Callable[..., Any]):
    client = headset("s1")
    site.snapshots.unblocked.clear()
    payload = bytes(range(256)) * 256
    acknowledged = client.publish(SNAPSHOT.format("s1"), payload)
    shadow_request = client.publish(SHADOW.format("s1", "get"), b"")
    assert not acknowledged.done()
    site.snapshots.unblocked.set()
    acknowledged.result(PATIENCE_S)
    body = site.snapshots.messages.get_nowait()
    assert base64.b64decode(body["payload"]) == payload
    assert body["thing"] == "s1"
    shadow_request.result(PATIENCE_S)


def test_a_snapshot_that_could_not_be_queued_is_not_acknowledged_and_is_sent_again(
    site: Any, headset: Callable[..., Any]
):
    client = headset("s2")
    site.snapshots.failing = True
    acknowledged = client.publish(SNAPSHOT.format("s2"), b"x")
    assert client.lost.wait(PATIENCE_S)
    assert not acknowledged.done()
    assert site.counts["mqtt_not_kept"] == 1
    site.snapshots.failing = False
    acknowledged.result(PATIENCE_S)
    assert site.snapshots.messages.get_nowait()["thing"] == "s2"


@pytest.mark.parametrize(
    "topic",
    [
        SNAPSHOT.format("bystander"),
        "$aws/rules/anc_other/anc/mallory/snapshot",
        "anc/bystander/event",
        "anc/mallory/other",
        SHADOW.format("bystander", "update"),
        SHADOW.format("mallory", "update/delta"),
        "$aws/things/mallory/shadow/update",
        "$aws/things/mallory/shadow/name/other/update",
        "other",
    ],
)
def test_publishing_on_a_topic_that_is_not_its_own_ends_the_connection(
    site: Any, headset: Callable[..., Any], topic: str
):
    client = headset("mallory")
    client.publish(topic, b"{}")
    assert client.lost.wait(PATIENCE_S)
    assert site.counts["mqtt_refused_message"] == 1
    assert site.snapshots.messages.empty()
    assert site.shadows.get("bystander") is None


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+/+/snapshot",
        "anc/#",
        "anc/+/event",
        "anc/bystander/#",
        "$aws/#",
        "$aws/things/+/shadow/name/anc/#",
    ],
)
def test_a_headset_cannot_subscribe_to_topics_of_others(
    site: Any, headset: Callable[..., Any], topic_filter: str
):
    client = headset("ear")
    with pytest.raises(SubscribeError):
        client.subscribe(topic_filter)
    assert site.counts["mqtt_refused_subscription"] == 1
    assert client.subscribe(SHADOW.format("ear", "update/#")).empty()


def test_a_payload_has_at_most_128_kilobytes(site: Any, headset: Callable[..., Any]):
    client = headset("big")
    client.publish(SNAPSHOT.format("big"), bytes(128 * 1024)).result(PATIENCE_S)
    assert len(base64.b64decode(site.snapshots.messages.get_nowait()["payload"])) == 128 * 1024
    client.publish(SNAPSHOT.format("big"), bytes(128 * 1024 + 1))
    assert client.lost.wait(PATIENCE_S)
    assert site.counts["mqtt_refused_message"] == 1
    assert site.snapshots.messages.empty()


def test_a_packet_of_256_megabytes_is_refused_by_its_header(site: Any, raw: Callable[..., Any]):
    tls = raw(site.create("huge"))
    tls.sendall(connect_packet("huge"))
    assert tls.recv(4) == b"\x20\x02\x00\x00"
    tls.sendall(b"\x30\xff\xff\xff\x7f")
    assert is_closed(tls)
    site.counts.wait_for("mqtt_refused_message")


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n" * 9, b"\x30\x00", b"\x10\xff\xff\xff\xff", b"\xe0\x00"]
)
def test_a_client_that_does_not_speak_mqtt_is_disconnected(site: Any, raw: Callable[..., Any], junk: bytes):
    tls = raw(site.create("junk"))
    tls.sendall(junk)
    assert is_closed(tls)
    assert site.counts["mqtt_connected"] == 0


def test_a_shadow_update_over_8_kilobytes_is_rejected_and_counted(site: Any, headset: Callable[..., Any]):
    client = headset("fat")
    rejected = client.subscribe(SHADOW.format("fat", "update/rejected"))
    client.publish(
        SHADOW.format("fat", "update"), json.dumps({"state": {"reported": {"a": "x" * 8200}}}).encode()
    )
    assert json.loads(rejected.get(timeout=PATIENCE_S))["code"] == 413
    site.counts.wait_for("shadow_rejected")
    assert site.shadows.get("fat") is None


# Load and timeouts


def test_a_silent_client_is_disconnected_after_one_and_a_half_keep_alive_intervals(
    site: Any, raw: Callable[..., Any]
):
    tls = raw(site.create("asleep"))
    tls.sendall(connect_packet("asleep", keep_alive_s=1))
    assert tls.recv(4) == b"\x20\x02\x00\x00"
    assert is_closed(tls)


def test_large_snapshots_are_stored_outside_of_the_event_loop(
    site: Any, headset: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    clients = {name: headset(name) for name in ("l1", "l2", "l3", "l4")}
    threads: set[int] = set()
    store = site.snapshots.put

    def put(body: Any) -> None:
        threads.add(threading.get_ident())
        store(body)

    monkeypatch.setattr(site.snapshots, "put", put)
    waiting = [
        client.publish(SNAPSHOT.format(name), bytes(64_000))
        for _ in range(10)
        for name, client in clients.items()
    ]
    for acknowledged in waiting:
        acknowledged.result(PATIENCE_S)
    assert site.snapshots.messages.qsize() == 40
    assert site.run(this_thread()) not in threads


def test_desired_state_written_while_the_broker_is_down_is_available_after_its_restart(own_site: Any):
    own_site.shadows.update("h1", {"mode": "bypass"})
    own_site.stop()
    own_site.shadows.update("h1", {"mode": "cancel"})
    own_site.start()
    assert own_site.shadows.get("h1")["state"]["desired"] == {"mode": "cancel"}
