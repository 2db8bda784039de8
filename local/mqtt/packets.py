"""MQTT 3.1.1 packets, limited as in AWS IoT Core: QoS 0 and 1, no retained messages. No I/O.

Why not an existing broker: the embeddable one for asyncio (amqtt 0.12) acknowledges a message before it is
processed, accepts packets of any size, lets a client disturb the session of another one before it is
authenticated, and compares each message with each subscription of the fleet. Here a headset only uses its
own topics, so a broker needs little more than these packets.

References
----------
OASIS, MQTT Version 3.1.1, sections 2 and 3.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14

ACCEPTED, BAD_PROTOCOL, BAD_IDENTIFIER, NOT_AUTHORISED = 0, 1, 2, 5
SUBSCRIPTION_FAILED = 0x80
MAX_LENGTH_BYTES = 4
_U16 = struct.Struct(">H")


class Malformed(Exception):
    """Raised for bytes that are not MQTT 3.1.1 or use an unsupported feature of it."""


class Connect(NamedTuple):
    """CONNECT. `level` is 4 for MQTT 3.1.1."""

    level: int
    client_id: str
    keep_alive_s: int
    will: bool


class Publish(NamedTuple):
    """PUBLISH; `packet_id` is 0 at QoS 0."""

    topic: str
    payload: bytes
    packet_id: int = 0


class Subscribe(NamedTuple):
    """SUBSCRIBE: topic filters with the requested QoS."""

    packet_id: int
    filters: list[tuple[str, int]]


class Unsubscribe(NamedTuple):
    """UNSUBSCRIBE: topic filters."""

    packet_id: int
    filters: list[str]


class Puback(NamedTuple):
    """PUBACK: a client acknowledges a message."""

    packet_id: int


class Pingreq(NamedTuple):
    """PINGREQ."""


class Disconnect(NamedTuple):
    """DISCONNECT."""


Packet: TypeAlias = Connect | Publish | Subscribe | Unsubscribe | Puback | Pingreq | Disconnect


class _Fields:
    """Sequential reader of a packet's fields."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def read(self, size: int) -> bytes:
        data = self._body[self._at : self._at + size]
        if len(data) < size:
            raise Malformed("the packet ends early")
        self._at += size
        return data

    def rest(self) -> bytes:
        return self.read(len(self._body) - self._at)

    def u8(self) -> int:
        return self.read(1)[0]

    def u16(self) -> int:
        return int(_U16.unpack(self.read(2))[0])

    def text(self) -> str:
        try:
            text = self.read(self.u16()).decode()
        except UnicodeDecodeError as fault:
            raise Malformed("a string is not UTF-8") from fault
        if "\0" in text:
            raise Malformed("a string must not contain a null character")
        return text

    def has_more(self) -> bool:
        return self._at < len(self._body)


def parse(first: int, body: bytes) -> Packet:
    """Return the packet.

    Parameters
    ----------
    first : int
        The first byte: packet type and flags.
    body : bytes
        The bytes after the remaining length.

    Raises
    ------
    Malformed
    """
    kind, flags = first >> 4, first & 0x0F
    fields = _Fields(body)
    if kind == PUBLISH:
        return _parse_publish(flags, fields)
    if flags != (2 if kind in (SUBSCRIBE, UNSUBSCRIBE) else 0):
        raise Malformed(f"packet type {kind} must not have flags {flags:#x}")
    parser = _PARSERS.get(kind)
    if parser is None:
        raise Malformed(f"packet type {kind} is not supported")
    return parser(fields)


def _parse_publish(flags: int, fields: _Fields) -> Publish:
    qos = flags >> 1 & 3
    if qos > 1:
        raise Malformed("the quality of service must be 0 or 1")
    if flags & 1:
        raise Malformed("retained messages are not supported")
    topic = fields.text()
    if not topic or "+" in topic or "#" in topic:
        raise Malformed("a topic must not be empty or contain a wildcard")
    packet_id = fields.u16() if qos else 0
    if qos and not packet_id:
        raise Malformed("the packet identifier must not be 0")
    return Publish(topic, fields.rest(), packet_id)


def _parse_connect(fields: _Fields) -> Connect:
    protocol, level, flags, keep_alive_s = fields.text(), fields.u8(), fields.u8(), fields.u16()
    if protocol != "MQTT" or flags & 1:
        raise Malformed("the protocol name must be MQTT")
    if level != 4:  # other versions have another layout; the response only needs the level
        return Connect(level, "", keep_alive_s, will=False)
    client_id = fields.text()
    return Connect(level, client_id, keep_alive_s, will=bool(flags & 4))


def _parse_subscribe(fields: _Fields) -> Subscribe:
    packet_id = fields.u16()
    filters = []
    while fields.has_more():
        topic_filter, qos = fields.text(), fields.u8()
        if qos > 2:
            raise Malformed("the quality of service must be 0, 1 or 2")
        filters.append((topic_filter, qos))
    if not filters:
        raise Malformed("a subscription must have at least one topic filter")
    return Subscribe(packet_id, filters)


def _parse_unsubscribe(fields: _Fields) -> Unsubscribe:
    packet_id, filters = fields.u16(), []
    while fields.has_more():
        filters.append(fields.text())
    return Unsubscribe(packet_id, filters)


_PARSERS: dict[int, Callable[[_Fields], Packet]] = {
    CONNECT: _parse_connect,
    PUBACK: lambda fields: Puback(fields.u16()),
    SUBSCRIBE: _parse_subscribe,
    UNSUBSCRIBE: _parse_unsubscribe,
    PINGREQ: lambda fields: Pingreq(),
    DISCONNECT: lambda fields: Disconnect(),
}


def _packet(first: int, body: bytes) -> bytes:
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([first]) + bytes(digits) + body


def connack(code: int) -> bytes:
    """Return a CONNACK without session present, since sessions end with their connection."""
    return _packet(CONNACK << 4, bytes([0, code]))


def publish(topic: str, payload: bytes, packet_id: int = 0) -> bytes:
    """Return a PUBLISH, at QoS 1 if it has a packet identifier."""
    name = topic.encode()
    head = _U16.pack(len(name)) + name
    if packet_id:
        return _packet(PUBLISH << 4 | 2, head + _U16.pack(packet_id) + payload)
    return _packet(PUBLISH << 4, head + payload)


def puback(packet_id: int) -> bytes:
    """Return a PUBACK."""
    return _packet(PUBACK << 4, _U16.pack(packet_id))


def suback(packet_id: int, codes: list[int]) -> bytes:
    """Return a SUBACK with the granted QoS of each filter, or 0x80."""
    return _packet(SUBACK << 4, _U16.pack(packet_id) + bytes(codes))


def unsuback(packet_id: int) -> bytes:
    """Return an UNSUBACK."""
    return _packet(UNSUBACK << 4, _U16.pack(packet_id))


def pingresp() -> bytes:
    """Return a PINGRESP."""
    return _packet(PINGRESP << 4, b"")


def valid_filter(topic_filter: str) -> bool:
    """Return whether `+` and `#` stand alone in their levels and `#` in the last one (section 4.7.1)."""
    levels = topic_filter.split("/")
    return all(
        level == "+" or (level == "#" and i == len(levels) - 1) or not {"+", "#"} & set(level)
        for i, level in enumerate(levels)
    )


def matches(topic_filter: str, topic: str) -> bool:
    """Return whether a topic filter covers a topic (section 4.7)."""
    filter_levels, levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and filter_levels[0] in ("+", "#"):
        return False
    if filter_levels[-1] == "#":  # covers the parent level too
        filter_levels = filter_levels[:-1]
        levels = levels[: len(filter_levels)]
    return len(filter_levels) == len(levels) and all(
        expected in ("+", level) for expected, level in zip(filter_levels, levels, strict=True)
    )
