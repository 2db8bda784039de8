"""MQTT 3.1.1 packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.mqtt import packets

topics = st.text(
    st.characters(exclude_characters="+#\0", exclude_categories=("Cs",)), min_size=1, max_size=40
)


def body_of(packet: bytes) -> tuple[int, bytes]:
    """Return the first byte and the body of a packet."""
    at, length, shift = 1, 0, 0
    while True:
        length |= (packet[at] & 0x7F) << shift
        shift += 7
        at += 1
        if packet[at - 1] < 0x80:
            break
    assert len(packet) - at == length
    return packet[0], packet[at:]


@given(topics, st.binary(max_size=300), st.integers(0, 0xFFFF))
def test_a_message_survives_a_round_trip(topic: str, payload: bytes, packet_id: int):
    packet = packets.publish(topic, payload, packet_id)
    assert packets.parse(*body_of(packet)) == packets.Publish(topic, payload, packet_id)


@pytest.mark.parametrize("size", [0, 127, 128, 16383, 16384, 131072])
def test_a_payload_of_any_allowed_size_is_framed(size: int):
    assert packets.parse(*body_of(packets.publish("t", bytes(size)))) == packets.Publish("t", bytes(size))


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_malformed(first: int, body: bytes):
    try:
        packet = packets.parse(first, body)
    except packets.Malformed:
        return
    assert isinstance(packet, packets.Packet)


@pytest.mark.parametrize(
    ("first", "body"),
    [
        (0x34, b"\x00\x01t\x00\x01"),  # QoS 2
        (0x31, b"\x00\x01t"),  # retained
        (0x32, b"\x00\x01t\x00\x00"),  # packet identifier 0
        (0x30, b"\x00\x03a/+"),  # wildcard
        (0x30, b"\x00\x02\xc3("),  # not UTF-8
        (0x80, b"\x00\x01\x00\x01t\x00"),  # SUBSCRIBE without its reserved flag
        (0x82, b"\x00\x01"),  # nothing subscribed to
        (0x00, b""),
        (0xF0, b""),
        (0x10, b"\x00\x04MQTX\x04\x02\x00\x3c\x00\x01h"),
    ],
)
def test_an_unsupported_packet_is_malformed(first: int, body: bytes):
    with pytest.raises(packets.Malformed):
        packets.parse(first, body)


@pytest.mark.parametrize(
    ("wanted", "topic", "covered"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+/c", "a/b/c", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b", True),
        ("#", "$aws/things", False),
        ("+/things", "$aws/things", False),
        ("$aws/#", "$aws/things", True),
        ("a/+", "a/", True),
        ("+", "/a", False),
    ],
)
def test_a_filter_matches_topics_as_in_the_standard(wanted: str, topic: str, covered: bool):
    assert packets.matches(wanted, topic) is covered


@pytest.mark.parametrize("wanted", ["a#", "a/#/b", "a+/b", "+a", "##"])
def test_a_filter_with_a_misplaced_wildcard_is_not_valid(wanted: str):
    assert not packets.valid_filter(wanted)
