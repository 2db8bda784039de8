"""What clients show before an upload: the accepted formats, and what will be done with a file."""

import io
from typing import Any, BinaryIO, cast

from anc.audio.backends import identify
from anc.audio.formats import FORMATS
from anc.audio.reader import MAX_CHANNELS, SHORT_BYTES, SHORT_S, AudioReader, check_size
from anc.records import Options
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.schemas.refusal import refuse
from anc.services.sound.channel_plan import choose_mode, possible_modes
from anc.services.sound.cpu_budget import Charge, no_charge, preview_cpu_s
from anc.services.sound.jobs import MAX_UPLOAD_BYTES

MAX_READ_BYTES = 32 * 1000 * 1000  # of a file with a hole, which a decoder may search for a start


def accepted() -> dict[str, Any]:
    """Return the formats and limits of sound files."""
    return {
        "formats": [
            {"name": each.name, "suffixes": list(each.suffixes), "media_types": list(each.media_types)}
            for each in FORMATS
        ],
        "min_rate": MIN_RATE,
        "max_rate": MAX_RATE,
        "max_channels": MAX_CHANNELS,
        "request_bytes": SHORT_BYTES,
        "request_seconds": SHORT_S,
        "upload_bytes": MAX_UPLOAD_BYTES,
    }


def preview(
    data: bytes, head: int | None = None, size: int | None = None, charge: Charge = no_charge
) -> dict[str, Any]:
    """Describe a file and what each mode does with it, from its first samples.

    Parameters
    ----------
    data : bytes
        The file, or its beginning and its end, for example with the index of an MP4 file.
    head : int, optional
        Bytes of the beginning; the rest of `data` is the end.
    size : int, optional
        Bytes of the file.
    charge : callable
        Called with the predicted core-seconds before the work.

    Returns
    -------
    dict
        `format`, `rate`, `channels`, `seconds` (None if the header does not say), `automatic` (the default
        mode) and `modes` (what each possible mode does).

    Raises
    ------
    Refused
        `bad_field` or `too_large`, as an upload of the file would be.
    """
    check_size(len(data))
    size = len(data) if size is None else size
    head = len(data) if head is None else head
    if head > len(data) or size < len(data):
        refuse(
            "bad_field",
            f"head, size: head must be at most, size at least the {len(data):,} bytes of the body "
            f"(got {head:,} and {size:,})",
        )
    charge(preview_cpu_s(data))
    file = cast(BinaryIO, _WithHole(data, head, size)) if size > len(data) else io.BytesIO(data)
    format, _ = identify(file)
    with AudioReader(file) as reader:
        channels = reader.channels
        return {
            "format": format.name,
            "rate": reader.rate,
            "channels": channels,
            "seconds": reader.announced_s,
            "automatic": choose_mode(Options(), channels),
            "modes": possible_modes(channels),
        }


class _WithHole(io.RawIOBase):
    """A file of which only the beginning and the end are present; the rest reads as zeros."""

    def __init__(self, data: bytes, head: int, size: int) -> None:
        self._data, self._head, self._size = data, head, size
        self._at, self._left = 0, MAX_READ_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._at, self._left))
        begin, tail = self._at, self._size - (len(self._data) - self._head)
        part = self._data[begin : max(begin, min(self._head, begin + count))]
        part += bytes(max(0, min(tail, begin + count) - begin - len(part)))
        at = self._head + begin + len(part) - tail
        buffer[:count] = (part + self._data[at : at + count - len(part)])[:count] if count else b""
        self._at += count
        self._left -= count
        return count
