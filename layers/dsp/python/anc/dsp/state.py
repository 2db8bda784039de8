"""Filter state as bytes: versioned, checksummed and little-endian, without pickle.

Layout: magic `ANCF`, version u8, kind (8 ASCII characters), counts of numbers and vectors u8, the numbers as
float64, then per vector a dtype code u8, a length u32 and the values; last a CRC-32 of everything before it.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAGIC = b"ANCF"
VERSION = 1
HEAD = struct.Struct("<4sB8sBB")
VECTOR = struct.Struct("<BI")
CRC = struct.Struct("<I")
DTYPES: dict[int, np.dtype] = {1: np.dtype("u1"), 4: np.dtype("<f4"), 8: np.dtype("<f8")}


def pack(kind: str, numbers: Sequence[float], vectors: Sequence[NDArray]) -> bytes:
    """Return numbers and vectors of a filter of `kind` as bytes.

    >>> unpack("demo", pack("demo", [0.5], [np.array([1.0, 2.0])]))
    ((0.5,), [array([1., 2.])])
    """
    parts = [HEAD.pack(MAGIC, VERSION, kind.encode(), len(numbers), len(vectors))]
    parts.append(struct.pack(f"<{len(numbers)}d", *numbers))
    for vector in vectors:
        dtype = DTYPES[vector.dtype.itemsize]
        parts += [VECTOR.pack(dtype.itemsize, vector.size), vector.astype(dtype, copy=False).tobytes()]
    body = b"".join(parts)
    return body + CRC.pack(zlib.crc32(body))


def kind_of(state: bytes) -> str:
    """Kind of filter that a state names, "" for bytes that are no filter's state."""
    if len(state) < HEAD.size or state[:4] != MAGIC:
        return ""
    name: bytes = HEAD.unpack_from(state)[2]
    return name.rstrip(b"\0").decode("ascii", "replace")


def unpack(kind: str, state: bytes) -> tuple[tuple[float, ...], list[NDArray]]:
    """Return the numbers and vectors of a state of `kind`. The vectors are writable copies.

    Raises
    ------
    ValueError
        If the bytes are damaged, of another version or of another kind of filter.
    """
    if len(state) < HEAD.size + CRC.size or state[:4] != MAGIC:
        raise ValueError(f"state: not a filter state; it must begin with {MAGIC!r} (got {len(state)} bytes)")
    _, version, name, number_count, vector_count = HEAD.unpack_from(state)
    if version != VERSION:
        raise ValueError(f"state: version must be {VERSION} (got version {version})")
    body, (checksum,) = state[: -CRC.size], CRC.unpack(state[-CRC.size :])
    if zlib.crc32(body) != checksum:
        raise ValueError("state: the checksum does not match; the bytes are damaged or incomplete")
    if name.rstrip(b"\0") != kind.encode():
        raise ValueError(f"state: kind must be {kind} (got {name.rstrip(bytes(1)).decode()})")
    numbers = struct.unpack_from(f"<{number_count}d", body, HEAD.size)
    at = HEAD.size + 8 * number_count
    vectors = []
    for _ in range(vector_count):
        itemsize, length = VECTOR.unpack_from(body, at)
        at += VECTOR.size
        vectors.append(np.frombuffer(body, DTYPES[itemsize], length, at).copy())
        at += length * itemsize
    return numbers, vectors
