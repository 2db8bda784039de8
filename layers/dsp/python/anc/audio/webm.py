"""Find out whether a Matroska or WebM file breaks off."""

from anc.audio.byte_source import ByteSource

MASTERS = frozenset((b"\x1fC\xb6u", b"\xa0"))  # Cluster, BlockGroup
# Blocks and what belongs to them, Timestamp, Position, PrevSize, Cues, Tags, Void
OTHERS = frozenset(
    (
        b"\xa3",
        b"\xa1",
        b"\x9b",
        b"u\xa2",
        b"\xfb",
        b"\xe7",
        b"\xa7",
        b"\xab",
        b"\x1cS\xbbk",
        b"\x12T\xc3g",
        b"\xec",
    )
)
MAX_ELEMENTS = 10_000


def is_cut_after(source: ByteSource, block: int, size: int) -> bool:
    """Return whether the file ends within an element after a block.

    Parameters
    ----------
    source : ByteSource
    block : int
        Offset of the content of the last complete block.
    size : int
        Of its data, in bytes.
    """
    source.seek(block)
    at = block + _length(source.read(1)) + 3 + size  # track number, time and flags precede the data
    for _ in range(MAX_ELEMENTS):
        if at >= source.size:
            return at > source.size
        source.seek(at)
        head = source.read(12)
        id_bytes = _length(head[:1])
        size_bytes = _length(head[id_bytes : id_bytes + 1])
        if len(head) < id_bytes + size_bytes:
            return True
        name = head[:id_bytes]
        if not size_bytes or (name not in MASTERS and name not in OTHERS):
            return False
        value = int.from_bytes(head[id_bytes : id_bytes + size_bytes], "big") & (1 << 7 * size_bytes) - 1
        at += id_bytes + size_bytes + (0 if name in MASTERS else value)
    return False


def _length(first: bytes) -> int:
    """Return the length of a variable-length number from its first byte: 1 without one, 0 if invalid."""
    return 9 - first[0].bit_length() if first and first[0] else int(not first)
