"""Numbers snapshots; the count outlives the headset's power."""

from pathlib import Path

from iot.store import write_file

LAST = 2**31  # more than a headset needs in a thousand years; a snapshot's header has room for twice as much


class SnapshotSequence:
    """The sequence number of the latest snapshot, kept in a file of the headset's own.

    Parameters
    ----------
    path : Path
        Its folder is made if need be. A file that holds no number up to `LAST` counts from 0, and one that
        cannot be written is done without: the shadow tells the rest.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            kept = int(path.read_text())
        except (OSError, ValueError):
            kept = 0
        self.latest = kept if 0 <= kept <= LAST else 0

    def next(self) -> int:
        """Return the next number, kept before it is used."""
        self.at_least(self.latest + 1)
        return self.latest

    def at_least(self, number: int) -> None:
        """Go on above what is known elsewhere to have been used."""
        if number > self.latest:
            self.latest = number
            write_file(self._path, str(number).encode())
