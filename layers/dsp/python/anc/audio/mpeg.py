"""Find the start of MPEG audio (MP3, ADTS), its tags and the lengths that its first frame announces."""

import struct
from typing import BinaryIO, NamedTuple

MAX_TAGS = 8
SEARCH_BYTES = 1 << 16  # of padding or a broken first frame before the first complete one
TAIL_BYTES = 1 << 14
CHAIN = 3  # consecutive frame headers that make a match
_KBPS = {
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_XING_FIELDS = (4, 4, 100, 4)  # bytes of frames, size, seek table, quality
_WITH_PADDING = (b"LAME", b"Lavf", b"Lavc")  # encoders that write how many samples they added
_RATES = (44_100, 48_000, 32_000)


class FrameHeader(NamedTuple):
    """Length of a frame in bytes, its samples, and the bytes of its side information."""

    size: int
    samples: int
    side_bytes: int


def id3_end(file: BinaryIO) -> int:
    """Return the offset after the ID3v2 tags at the start of a file."""
    end = 0
    for _ in range(MAX_TAGS):
        file.seek(end)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:]) > 127:
            break
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        end += 10 + size + (10 if head[5] & 0x10 else 0)
    return end


def find_mp3(data: bytes) -> int | None:
    """Return the offset of the first frame that others follow, None if there is none."""
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 4:
        if _is_chain(data, at):
            return at
        at = data.find(b"\xff", at + 1)
    return None


def ends_within_frame(tail: bytes) -> bool:
    """Return whether the last frame is incomplete, from the last `TAIL_BYTES` of a file."""
    at = find_mp3(tail)
    while at is not None and (header := frame_header(tail[at : at + 4])):
        at += header.size
    return at is not None and at > len(tail)


def _is_chain(data: bytes, at: int) -> bool:
    for _ in range(CHAIN):
        header = frame_header(data[at : at + 4])
        if header is None:
            return False
        at += header.size
    return True


def frame_header(data: bytes) -> FrameHeader | None:
    """Return the header of a layer II or III frame, None if it is not valid."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version = {0: 3, 2: 2, 3: 1}.get(data[1] >> 3 & 3)  # 3 is MPEG 2.5
    layer = 4 - (data[1] >> 1 & 3)
    index, rate_index = data[2] >> 4, data[2] >> 2 & 3
    if version is None or layer not in (2, 3) or index in (0, 15) or rate_index == 3:
        return None
    kbps = _KBPS[(1, layer) if version == 1 else (2, 3)][index]
    rate = _RATES[rate_index] >> (version - 1)
    samples = 576 if layer == 3 and version > 1 else 1152
    is_mono = data[3] >> 6 == 3
    side = (17 if is_mono else 32) if version == 1 else (9 if is_mono else 17)
    return FrameHeader(samples * 125 * kbps // rate + (data[2] >> 1 & 1), samples, side)


def announced_mp3(data: bytes) -> tuple[int, int]:
    """Return samples and bytes of the whole stream from a Xing header in its first frame; 0 if unknown."""
    header = frame_header(data[:4])
    if header is None:
        return 0, 0
    tag = data[4 + header.side_bytes :]
    if tag[:4] not in (b"Xing", b"Info") or len(tag) < 16:
        return 0, 0
    flags, at, fields = struct.unpack(">I", tag[4:8])[0], 8, []
    for bit, size in enumerate(_XING_FIELDS):
        present = flags >> bit & 1
        fields.append(int.from_bytes(tag[at : at + size * present], "big"))
        at += size * present
    padding = int.from_bytes(tag[at + 21 : at + 24], "big") if tag[at : at + 4] in _WITH_PADDING else 0
    return max(0, fields[0] * header.samples - (padding >> 12) - (padding & 0xFFF)), fields[1]
