"""One-time passwords of authenticator apps: six digits that change every 30 seconds.

References
----------
RFC 6238, TOTP: Time-Based One-Time Password Algorithm; RFC 4226, HOTP, section 5.3.
"""

import base64
import hmac
import secrets
import struct

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20  # RFC 4226, requirement R6
TOLERANCE = 1  # steps before and after the present one, for clocks that differ


def new_secret() -> str:
    """Return a random secret in base32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def code_at(secret: str, now: float) -> str:
    """Return the code of a secret in base32, with or without padding, at a time in seconds.

    >>> code_at(base64.b32encode(b"12345678901234567890").decode(), 59)
    '287082'
    """
    padded = secret + "=" * (-len(secret) % 8)
    key, step = base64.b32decode(padded, casefold=True), struct.pack(">Q", int(now // STEP_S))
    digest = hmac.digest(key, step, "sha1")
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 0xF)
    return f"{(number & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}d}"


def matching_step(secret: str, code: str, now: float) -> int | None:
    """Return the number of the time step that a code is for, or None for a wrong code."""
    present = int(now // STEP_S)
    for step in range(present - TOLERANCE, present + TOLERANCE + 1):
        if hmac.compare_digest(code_at(secret, step * STEP_S).encode(), code.encode()):
            return step
    return None
