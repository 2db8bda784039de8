"""Find the samples of a CAF file whose size is unknown or wrong.

A recorder that streams writes -1, one that was interrupted may leave 0. The decoder gets a new header
instead.
"""

import io
import struct
from typing import BinaryIO, NamedTuple

MAX_CHUNKS = 1000
MAX_CHUNK_BYTES = 1 << 20
_DESCRIPTIONS = (b"desc", b"chan", b"kuki", b"pakt")  # what a decoder needs before the samples
_EDIT_COUNT_BYTES = 4  # at the start of the samples


class Caf(NamedTuple):
    """Header and samples of a CAF file.

    Attributes
    ----------
    header : bytes
        A complete header with the true size.
    begin, size : int
        Where the samples are in the file.
    present : float
        Share of the announced samples that is there; 1 if the file announces none.
    """

    header: bytes
    begin: int
    size: int
    present: float


def parse_caf(file: BinaryIO, begin: int = 0) -> Caf | None:
    """Return header and samples of the CAF file at an offset; None if its header needs no repair.

    Raises
    ------
    OSError
        From the file.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(begin)
    header, at = file.read(8), begin + 8
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(12)
        if len(head) < 12:
            return None
        name, size = struct.unpack(">4sq", head)
        at += 12
        if name == b"data":
            return _repaired(header, at, end - at, size)
        if size < 0:
            return None
        if name in _DESCRIPTIONS and size <= MAX_CHUNK_BYTES:
            header += head + file.read(size)
        at += size
    return None


def _repaired(header: bytes, at: int, present: int, claimed: int) -> Caf | None:
    # The size is at least that of the edit count, so 0 is not valid.
    if 0 < claimed <= present or present < _EDIT_COUNT_BYTES:
        return None
    share = present / claimed if claimed > present else 1.0
    return Caf(header + struct.pack(">4sq", b"data", present), at, present, share)
