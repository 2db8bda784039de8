"""Check the sample tables of an MP4 file before FFmpeg allocates memory for them."""

import struct
from collections.abc import Iterator

from anc.audio.byte_source import ByteSource
from anc.audio.decoder import Damaged

NO_INDEX = (
    "file: the index of the MP4 file (moov) is missing, since recording or transfer was interrupted; "
    "record or send it again"
)
MAX_SAMPLES = 1 << 22  # twelve hours of AAC at 96 kHz; FFmpeg holds 24 bytes per sample
MAX_BOXES = 1 << 20
PARENTS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"edts"))
MAX_DEPTH = 8
MAX_TABLE_BYTES = 1 << 24


def check_mp4(source: ByteSource) -> bool:
    """Return whether the file is cut off: a box ends after it.

    Raises
    ------
    Damaged
        If the tables announce more samples than a recording can have, or are missing.
    """
    left, cut, has_index = [MAX_SAMPLES], False, False
    for name, at, size in _boxes(source, 0, source.size, 0, [MAX_BOXES]):
        cut |= at + size > source.size
        has_index |= name == b"moov"
        if name in (b"stsz", b"stts", b"trun"):
            source.seek(at)
            left[0] -= _samples(name, source.read(min(size, MAX_TABLE_BYTES)))
        if left[0] < 0:
            raise Damaged
    if not has_index:
        raise Damaged(NO_INDEX)
    return cut


def _boxes(
    source: ByteSource, at: int, end: int, depth: int, left: list[int]
) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end:
        source.seek(at)
        head = source.read(16)
        size, name = struct.unpack(">I4s", head[:8])
        begin = at + 8
        if size == 1 and len(head) == 16:
            size, begin = struct.unpack(">Q", head[8:])[0], at + 16
        elif size == 0:
            size = end - at
        left[0] -= 1
        if size < begin - at or left[0] < 0 or depth > MAX_DEPTH:
            raise Damaged
        yield name, begin, at + size - begin
        if name in PARENTS:
            yield from _boxes(source, begin, min(at + size, end), depth + 1, left)
        at += size


def _samples(name: bytes, table: bytes) -> int:
    """Return how many samples a table announces, halved for the two tables that describe the same ones."""
    if name == b"trun":
        return int.from_bytes(table[4:8], "big")
    if name == b"stsz":
        return int.from_bytes(table[8:12], "big") // 2
    entries = max(0, len(table) - 8) // 8
    counts = struct.unpack(f">{2 * entries}I", table[8 : 8 + 8 * entries])
    return sum(counts[::2]) // 2
