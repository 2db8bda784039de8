"""MQTT 3.1.1 packets, as much of them as AWS IoT Core takes: QoS 0 and 1, no retained messages, no I/O here.

Why not a broker from the shelf: the embeddable one for asyncio (amqtt 0.12) acknowledges a message before
anybody has seen it, takes packets of any size, lets a client disturb another's session before it has asked
who that client is, and compares each message with each subscription of the fleet. Here a headset's topics are
its own, so a broker is little more than these packets.

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
    """Bytes that are not MQTT 3.1.1, or a part of it that this platform does not speak."""


class Connect(NamedTuple):
    """A client introduces itself. `level` is 4 for MQTT 3.1.1."""

    level: int
    client_id: str
    keep_alive_s: int
    will: bool


class Publish(NamedTuple):
    """A message; `packet_id` is 0 at QoS 0."""

    topic: str
    payload: bytes
    packet_id: int = 0


class Subscribe(NamedTuple):
    """Topic filters that a client wants, each with the QoS it asks for."""

    packet_id: int
    filters: list[tuple[str, int]]


class Unsubscribe(NamedTuple):
    """Topic filters that a client wants no more."""

    packet_id: int
    filters: list[str]


class Puback(NamedTuple):
    """A client has a message that was sent to it."""

    packet_id: int


class Pingreq(NamedTuple):
    """A client is still there."""


class Disconnect(NamedTuple):
    """A client leaves."""


Packet: TypeAlias = Connect | Publish | Subscribe | Unsubscribe | Puback | Pingreq | Disconnect


class _Fields:
    """Reads a packet's fields one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, size: int) -> bytes:
        piece = self._body[self._at : self._at + size]
        if len(piece) < size:
            raise Malformed("the packet ends early")
        self._at += size
        return piece

    def rest(self) -> bytes:
        return self.take(len(self._body) - self._at)

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int(_U16.unpack(self.take(2))[0])

    def text(self) -> str:
        try:
            text = self.take(self.u16()).decode()
        except UnicodeDecodeError as fault:
            raise Malformed("a string is not UTF-8") from fault
        if "\0" in text:
            raise Malformed("a string holds a null character")
        return text

    def more(self) -> bool:
        return self._at < len(self._body)


def parse(first: int, body: bytes) -> Packet:
    """Read a packet.

    Parameters
    ----------
    first : int
        The first byte: packet type and flags.
    body : bytes
        What follows the length.

    Raises
    ------
    Malformed
    """
    kind, flags = first >> 4, first & 0x0F
    fields = _Fields(body)
    if kind == PUBLISH:
        return _parse_publish(flags, fields)
    if flags != (2 if kind in (SUBSCRIBE, UNSUBSCRIBE) else 0):
        raise Malformed(f"flags {flags:#x} of packet type {kind}")
    parser = _PARSERS.get(kind)
    if parser is None:
        raise Malformed(f"packet type {kind}")
    return parser(fields)


def _parse_publish(flags: int, fields: _Fields) -> Publish:
    qos = flags >> 1 & 3
    if qos > 1:
        raise Malformed("quality of service above 1")
    if flags & 1:
        raise Malformed("retained messages are not kept here")
    topic = fields.text()
    if not topic or "+" in topic or "#" in topic:
        raise Malformed("a topic is empty or holds a wildcard")
    packet_id = fields.u16() if qos else 0
    if qos and not packet_id:
        raise Malformed("packet identifier 0")
    return Publish(topic, fields.rest(), packet_id)


def _parse_connect(fields: _Fields) -> Connect:
    protocol, level, flags, keep_alive_s = fields.text(), fields.u8(), fields.u8(), fields.u16()
    if protocol != "MQTT" or flags & 1:
        raise Malformed("not MQTT")
    if level != 4:  # other levels lay out the rest otherwise; the answer only needs to know the level
        return Connect(level, "", keep_alive_s, will=False)
    client_id = fields.text()
    return Connect(level, client_id, keep_alive_s, will=bool(flags & 4))


def _parse_subscribe(fields: _Fields) -> Subscribe:
    packet_id = fields.u16()
    filters = []
    while fields.more():
        wanted, qos = fields.text(), fields.u8()
        if qos > 2:
            raise Malformed("quality of service above 2")
        filters.append((wanted, qos))
    if not filters:
        raise Malformed("a subscription to nothing")
    return Subscribe(packet_id, filters)


def _parse_unsubscribe(fields: _Fields) -> Unsubscribe:
    packet_id, filters = fields.u16(), []
    while fields.more():
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
    """Answer a CONNECT. A session of ours never outlives its connection, so none is ever present."""
    return _packet(CONNACK << 4, bytes([0, code]))


def publish(topic: str, payload: bytes, packet_id: int = 0) -> bytes:
    """Send a message, at QoS 1 when it has a packet identifier."""
    name = topic.encode()
    head = _U16.pack(len(name)) + name
    if packet_id:
        return _packet(PUBLISH << 4 | 2, head + _U16.pack(packet_id) + payload)
    return _packet(PUBLISH << 4, head + payload)


def puback(packet_id: int) -> bytes:
    """Acknowledge a message."""
    return _packet(PUBACK << 4, _U16.pack(packet_id))


def suback(packet_id: int, codes: list[int]) -> bytes:
    """Answer a subscription: the QoS granted for each filter, or 0x80."""
    return _packet(SUBACK << 4, _U16.pack(packet_id) + bytes(codes))


def unsuback(packet_id: int) -> bytes:
    """Answer an unsubscription."""
    return _packet(UNSUBACK << 4, _U16.pack(packet_id))


def pingresp() -> bytes:
    """Answer a ping."""
    return _packet(PINGRESP << 4, b"")


def valid_filter(wanted: str) -> bool:
    """Return whether `+` and `#` stand alone in their levels and `#` in the last one (section 4.7.1)."""
    levels = wanted.split("/")
    return all(
        level == "+" or (level == "#" and i == len(levels) - 1) or not {"+", "#"} & set(level)
        for i, level in enumerate(levels)
    )


def matches(wanted: str, topic: str) -> bool:
    """Return whether a topic filter covers a topic (section 4.7)."""
    wanted_levels, levels = wanted.split("/"), topic.split("/")
    if topic.startswith("$") and wanted_levels[0] in ("+", "#"):
        return False
    if wanted_levels[-1] == "#":  # covers the parent level too
        wanted_levels = wanted_levels[:-1]
        levels = levels[: len(wanted_levels)]
    return len(wanted_levels) == len(levels) and all(
        want in ("+", level) for want, level in zip(wanted_levels, levels, strict=True)
    )
