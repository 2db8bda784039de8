"""Properties of MQTT 5 packets.

References
----------
OASIS, MQTT Version 5.0, section 2.2.2.
"""

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

SESSION_EXPIRY, AUTHENTICATION_METHOD, WANTS_REASONS, WILL_DELAY, REASON = 0x11, 0x15, 0x17, 0x18, 0x1F
RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, MAXIMUM_QOS = 0x21, 0x22, 0x23, 0x24
RETAIN_AVAILABLE, MAXIMUM_PACKET_SIZE = 0x25, 0x27
WILDCARDS_AVAILABLE, SUBSCRIPTION_IDS_AVAILABLE, SHARED_AVAILABLE = 0x28, 0x29, 0x2A
SUBSCRIPTION_ID, USER_PROPERTY = 0x0B, 0x26
MAX_USER_PROPERTIES = 32

_U8, _U16, _U32 = (struct.Struct(form) for form in (">B", ">H", ">I"))
_NUMBERS = {
    0x01: _U8,
    0x02: _U32,
    SESSION_EXPIRY: _U32,
    0x13: _U16,
    WANTS_REASONS: _U8,
    WILL_DELAY: _U32,
    0x19: _U8,
    RECEIVE_MAXIMUM: _U16,
    TOPIC_ALIAS_MAXIMUM: _U16,
    TOPIC_ALIAS: _U16,
    MAXIMUM_QOS: _U8,
    RETAIN_AVAILABLE: _U8,
    MAXIMUM_PACKET_SIZE: _U32,
    WILDCARDS_AVAILABLE: _U8,
    SUBSCRIPTION_IDS_AVAILABLE: _U8,
    SHARED_AVAILABLE: _U8,
}
_TEXTS = (0x03, 0x08, 0x12, AUTHENTICATION_METHOD, 0x1A, 0x1C, REASON)
_BYTES = (0x09, 0x16)

Properties = Mapping[int, Any]
NO_PROPERTIES: Properties = MappingProxyType({})


class InvalidProperty(ValueError):
    """Raised when a property is unknown, given twice or incomplete."""


def variable_integer(number: int) -> bytes:
    """Return a variable byte integer (section 1.5.5)."""
    digits = bytearray()
    while True:
        number, digit = divmod(number, 128)
        digits.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(digits)


def parse(data: bytes) -> Properties:
    """Return the properties in `data` by identifier, without user properties. Raises InvalidProperty."""
    found: dict[int, Any] = {}
    at, user_properties = 0, 0
    try:
        while at < len(data):
            name, at = data[at], at + 1
            if name == USER_PROPERTY:
                _, at = _text(data, at)
                _, at = _text(data, at)
                user_properties += 1
                if user_properties > MAX_USER_PROPERTIES:
                    raise InvalidProperty(f"there must be at most {MAX_USER_PROPERTIES} user properties")
                continue
            if name in found:
                raise InvalidProperty(f"the property {name:#04x} is given twice")
            found[name], at = _value(name, data, at)
    except (struct.error, IndexError, UnicodeDecodeError) as fault:
        raise InvalidProperty("a property ends early or is not UTF-8") from fault
    return found


def encode(properties: Properties) -> bytes:
    """Return the properties with their length."""
    parts = bytearray()
    for name, value in properties.items():
        parts.append(name)
        if name in _NUMBERS:
            parts += _NUMBERS[name].pack(value)
        else:
            text = str(value).encode()
            parts += _U16.pack(len(text)) + text
    return variable_integer(len(parts)) + bytes(parts)


def _value(name: int, data: bytes, at: int) -> tuple[Any, int]:
    if name in _NUMBERS:
        number = _NUMBERS[name]
        return number.unpack_from(data, at)[0], at + number.size
    if name in _TEXTS:
        return _text(data, at)
    if name in _BYTES:
        return _binary(data, at)
    if name == SUBSCRIPTION_ID:
        return _variable(data, at)
    raise InvalidProperty(f"the property {name:#04x} does not exist")


def _binary(data: bytes, at: int) -> tuple[bytes, int]:
    size = _U16.unpack_from(data, at)[0]
    end = at + 2 + size
    if end > len(data):
        raise InvalidProperty("a property ends early")
    return data[at + 2 : end], end


def _text(data: bytes, at: int) -> tuple[str, int]:
    value, at = _binary(data, at)
    return value.decode(), at


def _variable(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in (0, 7, 14, 21):
        digit, at = data[at], at + 1
        number |= (digit & 0x7F) << shift
        if digit < 0x80:
            return number, at
    raise InvalidProperty("a variable byte integer must have at most four bytes")
