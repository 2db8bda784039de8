"""Read and name control filters stored as bytes: float16 little-endian, tap 0 first."""

import hashlib

import numpy as np
from numpy.typing import NDArray

ID_DIGITS = 16


def decode_taps(data: bytes) -> NDArray[np.float32]:
    """Return a filter, (taps,) float32, from its float16 bytes.

    >>> decode_taps(bytes.fromhex("003c00b8")).tolist()
    [1.0, -0.5]
    """
    return np.frombuffer(data, "<f2").astype(np.float32)


def taps_sha256(data: bytes) -> str:
    """Return the SHA-256 of a filter's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def filter_id(data: bytes) -> str:
    """Return the id of a filter: the first 16 hexadecimal digits of its SHA-256.

    >>> filter_id(bytes.fromhex("003c00b8"))
    'beb73eb9dde5ca8e'
    """
    return taps_sha256(data)[:ID_DIGITS]
