"""File objects for decoders, which treat exceptions as the end of the file."""

import io
from typing import BinaryIO


class ByteSource:
    """Part of a seekable file, after replacement header bytes.

    Parameters
    ----------
    file : BinaryIO
    begin : int
        Offset of the first byte that is presented.
    size : int, optional
        Number of bytes that are presented; by default up to the end of the file.
    header : bytes
        Presented before them.
    """

    def __init__(self, file: BinaryIO, begin: int = 0, size: int | None = None, header: bytes = b"") -> None:
        self._file = file
        self._begin = begin
        self._header = header
        self.size = len(header) + (file.seek(0, io.SEEK_END) - begin if size is None else size)
        self._at = 0
        self._fault: Exception | None = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; a position before the start, from a damaged header, is ignored."""
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}.get(whence, 0)
        if at >= 0:
            self._at = at
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes. An exception is stored for `raise_fault` and ends the file."""
        left = max(0, self.size - self._at)
        size = left if size < 0 else min(size, left)
        head = self._header[self._at : self._at + size]
        at = self._at + len(head) - len(self._header)
        try:
            rest = b""
            if size > len(head):
                self._file.seek(self._begin + at)
                rest = self._file.read(size - len(head))
        except Exception as fault:  # noqa: BLE001  raised by raise_fault
            self._fault = fault
            return b""
        self._at += len(head) + len(rest)
        return head + rest

    def raise_fault(self) -> None:
        """Raise the exception that ended the file, if there was one."""
        if self._fault:
            raise self._fault
