"""What must outlive the headset's power: small files that are whole at any moment, the old one or the new."""

import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from anc.schemas.path import MeasuredPath, parse_path
from anc.schemas.refusal import Refused, parse_json
from anc.schemas.shadow import Configuration, FilterDocument

logger = logging.getLogger(__name__)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file of the headset's own, readable by nobody else, so that no power cut leaves half of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = path.with_suffix(".new")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(half, path)


def write_file(path: Path, data: bytes) -> None:
    """Write a file as `replace_file` does; a headset whose store is full does without it."""
    try:
        replace_file(path, data)
    except OSError as fault:
        logger.warning("%s was not kept: %s", path.name, fault.strerror)


class PathStore:
    """The secondary path that the headset measured last, for the time after its power was off.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> MeasuredPath | None:
        """Return the path; None when none was measured, or the file is damaged."""
        try:
            return parse_path(self._path.read_bytes())
        except (OSError, Refused):
            return None

    def keep(self, measured: MeasuredPath) -> None:
        """Remember a path instead of the one before."""
        write_file(self._path, msgspec.json.encode(measured))


class ConfigurationStore:
    """How the headset was told to go about it, so that what its listener chose holds without a network.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Configuration:
        """Return it; all the maker's choice when there is none, and private when the file is damaged."""
        try:
            return parse_json(self._path.read_bytes(), Configuration)
        except FileNotFoundError:
            return Configuration()
        except (OSError, Refused):
            return Configuration(private=True)

    def change(self, before: Configuration, wanted: Configuration) -> Configuration:
        """Return `before` with what is wanted of it, and remember that."""
        changes = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
        after = msgspec.structs.replace(before, **changes)
        if after != before:
            write_file(self._path, msgspec.json.encode(after))
        return after


class _Entry(msgspec.Struct, frozen=True):
    of: str
    filter: FilterDocument


class FilterStore:
    """The last filter that was measured to help, for a start without a network.

    Parameters
    ----------
    path : Path
    of : str
        What the headset is known by, its certificate's id: a filter that another registration was sent means
        nothing to the platform.
    """

    def __init__(self, path: Path, of: str) -> None:
        self._path = path
        self._of = of
        self._id = ""

    def read(self) -> FilterDocument | None:
        """Return the filter; None when there is none, or the file is damaged or another registration's."""
        try:
            entry = parse_json(self._path.read_bytes(), _Entry)
        except (OSError, Refused):
            return None
        self._id = entry.filter.id
        return entry.filter if entry.of == self._of else None

    def keep(self, document: FilterDocument) -> None:
        """Remember a filter; one that is remembered already wears out no memory."""
        if document.id != self._id:
            write_file(self._path, msgspec.json.encode(_Entry(self._of, document)))
            self._id = document.id

    def drop(self, filter_id: str) -> None:
        """Forget a filter that turned out bad after all."""
        if filter_id == self._id:
            with suppress(OSError):
                self._path.unlink()
            self._id = ""
