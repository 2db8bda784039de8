"""Find format and samples of a WAV file, whatever its sizes claim.

Files of crashed recorders and of pipes have a data size of 0 or the largest number, some writers omit pad
bytes, and metadata may be large. The decoder gets a new header before the samples instead.
"""

import io
import re
import struct
from typing import BinaryIO, NamedTuple

MP3_TAG = 0x55
MAX_CHUNKS = 1000
MAX_FMT_BYTES = 1000
UNKNOWN_SIZE = 0x7FFF_0000  # this and more, in a file that is not so long, marks a stream of unknown length
MAX_RIFF_BYTES = 0xFFFF_FFFF - 4096
_KNOWN = (
    b"data",
    b"fmt ",
    b"fact",
    b"LIST",
    b"id3 ",
    b"ID3 ",
    b"bext",
    b"JUNK",
    b"PEAK",
    b"cue ",
    b"smpl",
    b"_PMX",
)
_CHUNK_ID = re.compile(rb"[A-Za-z0-9_ ]{3}[A-Za-z0-9_ \0]")


class Wav(NamedTuple):
    """Header and samples of a WAV file.

    Attributes
    ----------
    header : bytes
        A complete header with the true sizes.
    begin, size : int
        Where the samples are in the file.
    claimed : int
        Size of the samples according to the file; `size` if the file has no valid one.
    is_cut : bool
        Whether samples are missing; a part of a frame at the end, which `size` leaves out, is none.
    tag : int
        Encoding: 1 is PCM, 3 floating point, 0xFFFE extensible.
    """

    header: bytes
    begin: int
    size: int
    claimed: int
    is_cut: bool
    tag: int


def parse_wav(file: BinaryIO, begin: int = 0) -> Wav | None:
    """Return header and samples of the WAV file at an offset; None if it has no format or no samples.

    Raises
    ------
    OSError
        From the file.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(begin)
    order = ">" if file.read(4) == b"RIFX" else "<"
    at, fmt, fact, long_size = begin + 12, b"", b"", 0
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return None
        name, size = head[:4], struct.unpack(order + "I", head[4:])[0]
        if name == b"data":
            return _wav(file, order, fmt, fact, at + 8, end, long_size if size == 0xFFFF_FFFF else size)
        if name == b"fmt " and not fmt:
            fmt = file.read(min(size, MAX_FMT_BYTES))
        elif name == b"fact" and size == 4:
            fact = head + file.read(4)
        elif name == b"ds64" and size >= 24:
            long_size = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))[0]
        at = _next_chunk(file, at + 8 + size, size)
    return None


def _next_chunk(file: BinaryIO, at: int, size: int) -> int:
    """Return where the next chunk is: after the pad byte of an odd size, unless it was omitted."""
    if size % 2 == 0:
        return at
    file.seek(at)
    start = file.read(5)
    if start[:4] in _KNOWN or start[1:] in _KNOWN:
        return at + (start[:4] not in _KNOWN)
    return at if _CHUNK_ID.match(start[:4]) and not _CHUNK_ID.match(start[1:5]) else at + 1


def _wav(
    file: BinaryIO, order: str, fmt: bytes, fact: bytes, begin: int, end: int, claimed: int
) -> Wav | None:
    if len(fmt) < 16:
        return None
    tag, channels, rate, _, align, bits = struct.unpack(order + "HHIIHH", fmt[:16])
    present = end - begin
    is_stream = claimed >= UNKNOWN_SIZE and claimed > present
    if is_stream or (claimed == 0 and not _only_chunks(file, order, begin, end)):
        claimed = present
    size = min(claimed, present)
    if tag in (1, 3, 0xFFFE) and not align:
        align = channels * -(-bits // 8) & 0xFFFF  # absurd numbers are the decoder's to reject
        fmt = (
            struct.pack(order + "HHIIHH", tag, channels, rate, rate * align & 0xFFFF_FFFF, align, bits)
            + fmt[16:]
        )
    elif size != claimed or not align:
        fact = b""
    if align and (tag in (1, 3, 0xFFFE) or size < claimed):  # no partial frames or blocks
        size -= size % align
    fmt = fmt if tag != 1 else fmt[:16]
    header = _header(order, fmt + bytes(len(fmt) % 2), fact, size)
    return Wav(header, begin, size, claimed, present < claimed, tag)


def _header(order: str, fmt: bytes, fact: bytes, size: int) -> bytes:
    chunks = b"fmt " + struct.pack(order + "I", len(fmt)) + fmt + fact
    riff = 4 + len(chunks) + 8 + size
    if size > MAX_RIFF_BYTES and order == "<":
        ds64 = b"ds64" + struct.pack("<IQQQI", 28, riff + 36, size, 0, 0)
        unknown = b"\xff" * 4
        return b"RF64" + unknown + b"WAVE" + ds64 + chunks + b"data" + unknown
    name = b"RIFF" if order == "<" else b"RIFX"
    sizes = struct.pack(order + "I", min(riff, 0xFFFF_FFFF)), struct.pack(order + "I", min(size, 0xFFFF_FFFF))
    return name + sizes[0] + b"WAVE" + chunks + b"data" + sizes[1]


def _only_chunks(file: BinaryIO, order: str, at: int, end: int) -> bool:
    """Return whether only further chunks follow: the file has no samples."""
    for _ in range(MAX_CHUNKS):
        if at >= end:
            return True
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or not _CHUNK_ID.match(head[:4]):
            return False
        size = struct.unpack(order + "I", head[4:])[0]
        at += 8 + size + size % 2
        if at > end + 1:
            return False
    return False
