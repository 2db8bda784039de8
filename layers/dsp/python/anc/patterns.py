"""Patterns of the names and hashes in messages, each with a description for error messages."""

_DESCRIPTIONS: dict[str, str] = {}
# Python's `$` also matches before a final line break, and pydantic's does not. Append this for msgspec.
ONE_LINE = r"(?!\n)"


def described(pattern: str, allowed: str) -> str:
    """Return the pattern, after recording in words what it allows, such as `64 hexadecimal digits`."""
    _DESCRIPTIONS[pattern] = allowed
    return pattern


def optional(pattern: str) -> str:
    """Return the pattern of the empty text, or of what a described pattern allows."""
    return described(f"^$|{pattern}", f"empty, or {description(pattern)}")


def description(pattern: str) -> str:
    """Return what a pattern allows, in words; "" for an unknown pattern."""
    return _DESCRIPTIONS.get(pattern.removesuffix(ONE_LINE), "")


INDEXED_TEXT = described("^[A-Za-z0-9._+-]{1,64}$", "1 to 64 letters, digits or characters of ._+-")
USER_NAME = described("^[A-Za-z0-9._@+-]{1,128}$", "1 to 128 letters, digits or characters of ._@+-")
CODE = described("^[0-9]{6}$", "six digits")
ID = described("^[A-Za-z0-9_-]{1,64}$", "1 to 64 letters, digits, hyphens or underscores")
TAG = described(
    "^[a-z][a-z0-9-]{0,31}$", "a lowercase letter and up to 31 lowercase letters, digits or hyphens"
)
SHORT_HASH = described("^[0-9a-f]{16}$", "16 hexadecimal digits (0-9, a-f)")
SHA256 = described("^[0-9a-f]{64}$", "64 hexadecimal digits (0-9, a-f)")
SERIAL_PREFIX = described(
    "^([A-Za-z0-9_-]{3,32})?$", "empty, or 3 to 32 letters, digits, hyphens or underscores"
)
# No control characters, and none that change the direction or the line of the text around them.
_HIDDEN_IN_LINES = r"\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
_HIDDEN = rf"\u000a{_HIDDEN_IN_LINES}"
DISPLAY_NAME = described(
    rf"^([^\s{_HIDDEN}]([^{_HIDDEN}]{{0,62}}[^\s{_HIDDEN}])?)?$",
    "at most 64 characters on one line, without spaces at either end",
)
MODEL = described(
    rf"^[^\s{_HIDDEN}]([^{_HIDDEN}]{{0,62}}[^\s{_HIDDEN}])?$",
    "1 to 64 characters on one line, without spaces at either end",
)
EMERGENCY_ID = described("^[0-9]{14}-[0-9a-f]{8}$", "14 digits, a hyphen and 8 hexadecimal digits")
COMMENT = described(
    rf"^[^{_HIDDEN_IN_LINES}]*$", "text on one line or several, without other control characters"
)
VERSION = described(r"^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}$", "three numbers, such as 1.4.2")
# No user or password in front of the host: `127.0.0.1` as a user name is not this machine.
FIRMWARE_URL = described(
    r"^(https://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])|http://127\.0\.0\.1)(:[0-9]{1,5})?(/[!-~]*)?$",
    "an https URL without user name and password, such as https://example.com/firmware.bin",
)
