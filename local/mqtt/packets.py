"""MQTT 3.1.1 and 5 packets, limited as in AWS IoT Core: QoS 0 and 1, no subscription identifiers. No I/O.

References
----------
OASIS, MQTT Version 3.1.1 and MQTT Version 5.0, sections 2 and 3.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from local.mqtt import properties
from local.mqtt.properties import NO_PROPERTIES, InvalidProperty, Properties, variable_integer

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
V311, V5 = 4, 5

# Reason codes of MQTT 5, and the return codes of CONNACK in MQTT 3.1.1.
SUCCESS, WITH_WILL, NO_SUBSCRIPTION = 0x00, 0x04, 0x11
MALFORMED, PROTOCOL_ERROR, NOT_SUPPORTED_VERSION, BAD_CLIENT_ID = 0x81, 0x82, 0x84, 0x85
NOT_AUTHORIZED, BAD_AUTHENTICATION, KEEP_ALIVE_TIMEOUT, TAKEN_OVER = 0x87, 0x8C, 0x8D, 0x8E
PACKET_TOO_LARGE, QUOTA_EXCEEDED, ADMINISTRATIVE = 0x95, 0x97, 0x98
RETAIN_NOT_SUPPORTED, QOS_NOT_SUPPORTED, SUBSCRIPTION_IDS_NOT_SUPPORTED = 0x9A, 0x9B, 0xA1
UNSPECIFIED = 0x80
RETURN_CODES = {SUCCESS: 0, NOT_SUPPORTED_VERSION: 1, BAD_CLIENT_ID: 2}
NOT_AUTHORIZED_V311 = 5
MAX_LENGTH_BYTES = 4
MAX_REASON_CHARS = 200
_U16 = struct.Struct(">H")


class Malformed(Exception):
    """Raised for bytes that are not MQTT or use a feature that is not supported.

    Attributes
    ----------
    code : int
        Reason code of MQTT 5.
    """

    def __init__(self, message: str, code: int = MALFORMED) -> None:
        super().__init__(message)
        self.code = code


class Will(NamedTuple):
    """A message that is published when the connection ends without DISCONNECT.

    MQTT 5 delays it until the session ends, at most `delay_s`; a new connection to the session cancels it.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    delay_s: int = 0


class Connect(NamedTuple):
    """CONNECT. `level` is 4 for MQTT 3.1.1 and 5 for MQTT 5; other versions have no further fields."""

    level: int
    client_id: str
    keep_alive_s: int
    clean: bool = True
    will: Will | None = None
    properties: Properties = NO_PROPERTIES


class Publish(NamedTuple):
    """PUBLISH; `packet_id` is 0 at QoS 0."""

    topic: str
    payload: bytes
    packet_id: int = 0
    properties: Properties = NO_PROPERTIES


class Subscribe(NamedTuple):
    """SUBSCRIBE: topic filters with the requested QoS."""

    packet_id: int
    filters: list[tuple[str, int]]
    properties: Properties = NO_PROPERTIES


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

    code: int = SUCCESS
    properties: Properties = NO_PROPERTIES


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

    def binary(self) -> bytes:
        return self.read(self.u16())

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as fault:
            raise Malformed("a string is not UTF-8") from fault
        if "\0" in text:
            raise Malformed("a string must not contain a null character")
        return text

    def properties(self, level: int) -> Properties:
        """Return the properties, none before MQTT 5."""
        if level < V5 or not self.has_more():
            return {}
        size = 0
        for i in range(MAX_LENGTH_BYTES):
            digit = self.u8()
            size |= (digit & 0x7F) << 7 * i
            if digit < 0x80:
                break
        else:
            raise Malformed("the length of the properties must have at most four bytes")
        try:
            return properties.parse(self.read(size))
        except InvalidProperty as fault:
            raise Malformed(str(fault)) from fault

    def has_more(self) -> bool:
        return self._at < len(self._body)


def parse(first: int, body: bytes, level: int = V311) -> Packet:
    """Return the packet.

    Parameters
    ----------
    first : int
        The first byte: packet type and flags.
    body : bytes
        The bytes after the remaining length.
    level : int
        Protocol level of the connection; CONNECT states its own.

    Raises
    ------
    Malformed
    """
    kind, flags = first >> 4, first & 0x0F
    fields = _Fields(body)
    if kind == PUBLISH:
        return _parse_publish(flags, fields, level)
    if flags != (2 if kind in (SUBSCRIBE, UNSUBSCRIBE) else 0):
        raise Malformed(f"packet type {kind} must not have flags {flags:#x}")
    parser = _PARSERS.get(kind)
    if parser is None:
        raise Malformed(f"packet type {kind} is not supported", PROTOCOL_ERROR)
    return parser(fields, level)


def _parse_publish(flags: int, fields: _Fields, level: int) -> Publish:
    qos = flags >> 1 & 3
    if qos == 3:
        raise Malformed("the quality of service must be 0, 1 or 2")
    if qos == 2:
        raise Malformed("quality of service 2 is not supported; use 0 or 1", QOS_NOT_SUPPORTED)
    if flags & 1:
        raise Malformed(
            "a headset may not publish retained messages; clear the RETAIN flag", RETAIN_NOT_SUPPORTED
        )
    topic = fields.text()
    if (not topic and level < V5) or "+" in topic or "#" in topic:
        raise Malformed("a topic must not be empty or contain a wildcard")
    packet_id = fields.u16() if qos else 0
    if qos and not packet_id:
        raise Malformed("the packet identifier must not be 0")
    given = fields.properties(level)
    if not topic and properties.TOPIC_ALIAS not in given:
        raise Malformed("a topic must not be empty without a topic alias", PROTOCOL_ERROR)
    return Publish(topic, fields.rest(), packet_id, given)


def _parse_connect(fields: _Fields, _: int) -> Connect:
    protocol, level = fields.text(), fields.u8()
    if protocol == "MQIsdp":
        return Connect(level, "", 0)
    if protocol != "MQTT":
        raise Malformed("the protocol name must be MQTT")
    if level not in (V311, V5):  # other versions have another layout; the response only needs the level
        return Connect(level, "", 0)
    flags, keep_alive_s = fields.u8(), fields.u16()
    if flags & 1:
        raise Malformed("the reserved flag of CONNECT must be 0")
    given = fields.properties(level)
    client_id = fields.text()
    will = None
    if flags & 4:
        delay_s = fields.properties(level).get(properties.WILL_DELAY, 0)
        will = Will(fields.text(), fields.binary(), flags >> 3 & 3, bool(flags & 0x20), delay_s)
    elif flags & 0x38:
        raise Malformed("the flags of the will must be 0 without a will")
    return Connect(level, client_id, keep_alive_s, bool(flags & 2), will, given)


def _parse_subscribe(fields: _Fields, level: int) -> Subscribe:
    packet_id = fields.u16()
    if not packet_id:
        raise Malformed("the packet identifier must not be 0")
    given = fields.properties(level)
    filters = []
    while fields.has_more():
        topic_filter, options = fields.text(), fields.u8()
        qos = options & 3
        if qos > 2 or options >> (6 if level == V5 else 2):
            raise Malformed("the quality of service must be 0, 1 or 2")
        filters.append((topic_filter, qos))
    if not filters:
        raise Malformed("a subscription must have at least one topic filter")
    return Subscribe(packet_id, filters, given)


def _parse_unsubscribe(fields: _Fields, level: int) -> Unsubscribe:
    packet_id = fields.u16()
    fields.properties(level)
    filters = []
    while fields.has_more():
        filters.append(fields.text())
    if not filters:
        raise Malformed("an UNSUBSCRIBE must have at least one topic filter")
    return Unsubscribe(packet_id, filters)


def _parse_disconnect(fields: _Fields, level: int) -> Disconnect:
    if not fields.has_more():
        return Disconnect()
    return Disconnect(fields.u8(), fields.properties(level))


_PARSERS: dict[int, Callable[[_Fields, int], Packet]] = {
    CONNECT: _parse_connect,
    PUBACK: lambda fields, level: Puback(fields.u16()),
    SUBSCRIBE: _parse_subscribe,
    UNSUBSCRIBE: _parse_unsubscribe,
    PINGREQ: lambda fields, level: Pingreq(),
    DISCONNECT: _parse_disconnect,
}


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + variable_integer(len(body)) + body


def _reason(text: str) -> Mapping[int, Any]:
    return {properties.REASON: text[:MAX_REASON_CHARS]} if text else {}


def connack(
    level: int, code: int, session_present: bool = False, reason: str = "", given: Properties = NO_PROPERTIES
) -> bytes:
    """Return a CONNACK. Versions before MQTT 5 get the return code that is nearest to the reason code."""
    if level < V5:
        return _packet(CONNACK << 4, bytes([session_present, RETURN_CODES.get(code, NOT_AUTHORIZED_V311)]))
    head = bytes([session_present, code])
    return _packet(CONNACK << 4, head + properties.encode({**given, **_reason(reason)}))


def publish(topic: str, payload: bytes, packet_id: int = 0, level: int = V311, again: bool = False) -> bytes:
    """Return a PUBLISH, at QoS 1 if it has a packet identifier; `again`: it may have been sent before."""
    name = topic.encode()
    head = _U16.pack(len(name)) + name
    tail = (properties.encode({}) if level >= V5 else b"") + payload
    if packet_id:
        return _packet(PUBLISH << 4 | 2 | (8 if again else 0), head + _U16.pack(packet_id) + tail)
    return _packet(PUBLISH << 4, head + tail)


def puback(packet_id: int) -> bytes:
    """Return a PUBACK; in MQTT 5 the short form, which means success."""
    return _packet(PUBACK << 4, _U16.pack(packet_id))


def suback(level: int, packet_id: int, codes: list[int], reason: str = "") -> bytes:
    """Return a SUBACK with the granted QoS of each filter, or a reason code from 0x80."""
    if level < V5:
        return _packet(SUBACK << 4, _U16.pack(packet_id) + bytes(min(code, UNSPECIFIED) for code in codes))
    return _packet(SUBACK << 4, _U16.pack(packet_id) + properties.encode(_reason(reason)) + bytes(codes))


def unsuback(level: int, packet_id: int, codes: list[int]) -> bytes:
    """Return an UNSUBACK; MQTT 5 has a reason code for each filter."""
    if level < V5:
        return _packet(UNSUBACK << 4, _U16.pack(packet_id))
    return _packet(UNSUBACK << 4, _U16.pack(packet_id) + properties.encode({}) + bytes(codes))


def disconnect(code: int, reason: str = "") -> bytes:
    """Return a DISCONNECT, which only MQTT 5 servers send."""
    return _packet(DISCONNECT << 4, bytes([code]) + properties.encode(_reason(reason)))


def pingresp() -> bytes:
    """Return a PINGRESP."""
    return _packet(PINGRESP << 4, b"")


def valid_filter(topic_filter: str) -> bool:
    """Return whether `+` and `#` stand alone in their levels and `#` in the last one (section 4.7.1)."""
    levels = topic_filter.split("/")
    return bool(topic_filter) and all(
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
