"""The body of an API Gateway event."""

import base64
from collections.abc import Mapping
from typing import Any

from anc.schemas.refusal import Refused, refuse


def size(event: dict[str, Any]) -> int:
    """Return the size of the body in bytes."""
    text = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return len(text) * 3 // 4 - text[-2:].count("=")
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def kinds(headers: Mapping[str, str]) -> list[str]:
    """Return the media types of the Content-Type headers, in lower case and without parameters."""
    claimed = [value for name, value in headers.items() if name.lower() == "content-type"]
    return [value.partition(";")[0].strip().lower() for value in claimed]


def kind(event: dict[str, Any]) -> str:
    """Return the media type of the Content-Type header, or ""."""
    return next(iter(kinds(event.get("headers") or {})), "")


def sound(event: dict[str, Any]) -> bytes:
    """Return the sound file in the body.

    Raises
    ------
    Refused
        `bad_content_type`, because API Gateway would decode a binary body of another type as text;
        `bad_field` when the body is not base64.
    """
    claimed = kind(event)
    if claimed and not claimed.startswith(("audio/", "video/")) and claimed != "application/octet-stream":
        refuse(
            "bad_content_type",
            f"content-type: must be audio/*, video/* or application/octet-stream (got {claimed[:100]})",
        )
    text = event.get("body") or ""
    try:
        return base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except ValueError as fault:
        raise Refused("bad_field", "body: must be base64") from fault
