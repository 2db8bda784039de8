"""A headset with valid credentials cannot harm the platform or act for another."""

import json
from typing import Any

import pytest

from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from tests.attacks.mqtt_client import Headset, connect_packet, packet, text
from tests.attacks.target import Target

PATH = [0.0, 0.5, 0.2]
TOPICS = (
    "anc/rogue/snapshot",
    "anc/rogue/telemetry",
    "anc/rogue/path",
    "$aws/things/rogue/shadow/name/anc/update",
    "anc/rogue/../victim/telemetry",  # a topic of its own, however it reads
)
PAYLOADS = {
    "nothing": b"",
    "zeros": bytes(100),
    "text": b"hello",
    "no UTF-8": b'{"state":"\xff"}',
    "not a number": b'{"state":{"reported":{"gain":NaN}}}',
    "a number of many digits": b'{"state":{"reported":{"seq":' + b"9" * 5_000 + b"}}}",
    "deep arrays": b"[" * 8_000,
    "a deep state": b'{"state":{"reported":' + b'{"a":' * 1_300 + b"1" + b"}" * 1_302,
    "no object": b"[1, 2, 3]",
    "many names": json.dumps({f"k{n}": n for n in range(8_000)}).encode(),
    "the largest allowed": b"x" * MQTT_PAYLOAD_LIMIT,
    "a desired state of its own": b'{"state":{"desired":{"enabled":false}}}',
}
BROKEN = {
    "no MQTT": b"GET / HTTP/1.1\r\n" + b"X" * 200,
    "another's name": connect_packet("victim"),
    "a path for a name": connect_packet("../victim"),
    "an empty name": connect_packet(""),
    "256 megabytes announced": b"\x30\xff\xff\xff\x7f",
    "a length without end": b"\x30" + b"\xff" * 8,
    "a message before its greeting": packet(0x30, text("anc/rogue/telemetry") + b"{}"),
    "a reserved packet": b"\xf0\x00",
}
FOREIGN = (
    "anc/victim/telemetry",
    "anc/victim/snapshot",
    "$aws/things/victim/shadow/name/anc/update",
    "$aws/rules/anc_telemetry/anc/victim/telemetry",
    "$aws/events/presence/connected/victim",
    "anc/+/telemetry",
    "",
)


@pytest.fixture(scope="module")
def credentials(target: Target) -> dict[str, dict[str, Any]]:
    """Give the credentials of two headsets of two owners."""
    made = {}
    for thing in ("rogue", "victim"):
        body = {"thing": thing, "secondary": PATH}
        answer = target.call("POST", "/api/devices", target.token(f"owner-of-{thing}"), body)
        assert answer.status == 201, answer.body
        made[thing] = answer.document()["credentials"]
    return made


@pytest.fixture(autouse=True)
def victim_is_served(target: Target, credentials: dict[str, dict[str, Any]]) -> Any:
    """Check that another owner's headset stays connected, and that nothing was stored in its name."""
    token = target.token("owner-of-victim")
    with Headset(credentials["victim"]).connect("victim") as victim:
        yield
        assert victim.is_answered()
    history = target.call("GET", "/api/devices/victim/history", token).document()
    assert history["reports"] == []


@pytest.mark.parametrize("what", PAYLOADS)
@pytest.mark.parametrize("topic", TOPICS)
def test_no_payload_of_a_headset_breaks_the_broker(
    credentials: dict[str, dict[str, Any]], topic: str, what: str
) -> None:
    with Headset(credentials["rogue"]).connect("rogue") as rogue:
        rogue.publish(topic, PAYLOADS[what])
        rogue.is_answered()  # or is cut off: both will do


@pytest.mark.parametrize("topic", TOPICS)
def test_a_payload_over_the_limit_ends_the_connection(
    credentials: dict[str, dict[str, Any]], topic: str
) -> None:
    with Headset(credentials["rogue"]).connect("rogue") as rogue:
        rogue.publish(topic, bytes(MQTT_PAYLOAD_LIMIT + 4096))
        assert not rogue.is_answered()


@pytest.mark.parametrize("what", BROKEN)
def test_an_invalid_connect_packet_ends_the_connection(
    credentials: dict[str, dict[str, Any]], what: str
) -> None:
    with Headset(credentials["rogue"]) as rogue:
        rogue.line.sendall(BROKEN[what])
        assert not rogue.is_answered()


@pytest.mark.parametrize("topic", FOREIGN)
def test_a_headset_cannot_publish_for_another(credentials: dict[str, dict[str, Any]], topic: str) -> None:
    with Headset(credentials["rogue"]).connect("rogue") as rogue:
        rogue.publish(topic, b'{"level_dbfs":-20}')
        assert not rogue.is_answered()
