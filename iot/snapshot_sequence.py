"""Sequence numbers of snapshots, persistent across restarts."""

from pathlib import Path

from iot.store import write_file

MAX_SEQ = 2**31  # half the range of the snapshot header; a headset never reaches it
MAX_UNREPORTED = 1000  # snapshots between two reports: the platform accepts 60 a minute


class SnapshotSequence:
    """The sequence number of the latest snapshot, stored in a file.

    Parameters
    ----------
    path : Path
        Missing folders are created. A missing or damaged file counts from 0. A failed write is ignored, since
        the shadow reports the number too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            stored = int(path.read_text())
        except (OSError, ValueError):
            stored = 0
        self.latest = stored if 0 <= stored <= MAX_SEQ else 0

    def next(self) -> int:
        """Return the next number, after storing it."""
        self.advance_to(self.latest + 1)
        return self.latest

    def recover(self, reported: int) -> None:
        """Continue after the number that the shadow reports, if the file was lost.

        Snapshots may have been sent since that report, so the sequence continues well above it.
        """
        if reported > self.latest:
            self.advance_to(min(reported + MAX_UNREPORTED, MAX_SEQ))

    def advance_to(self, number: int) -> None:
        """Continue after `number`, if it is greater than the latest one."""
        if number > self.latest:
            self.latest = number
            write_file(self._path, str(number).encode())
