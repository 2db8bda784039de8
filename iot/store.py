"""Persistent storage of the headset: small files, each replaced atomically."""

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
    """Replace a file atomically, readable by its owner only. A power cut leaves the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_suffix(".new")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_file(path: Path, data: bytes) -> None:
    """Replace a file as `replace_file` does; log a failure, for example of full storage, and continue."""
    try:
        replace_file(path, data)
    except OSError as fault:
        logger.warning("cannot store %s: %s", path.name, fault.strerror)


class PathStore:
    """Store the secondary path that the headset measured last.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> MeasuredPath | None:
        """Return the path; None when it is missing or damaged."""
        try:
            return parse_path(self._path.read_bytes())
        except (OSError, Refused):
            return None

    def save(self, measured: MeasuredPath) -> None:
        """Store a path in place of the previous one."""
        write_file(self._path, msgspec.json.encode(measured))


class ConfigurationStore:
    """Store the configuration, so that it applies after a restart without a network.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Configuration:
        """Return the configuration; the defaults when it is missing, private mode when it is damaged."""
        try:
            return parse_json(self._path.read_bytes(), Configuration)
        except FileNotFoundError:
            return Configuration()
        except (OSError, Refused):
            return Configuration(private=True)

    def update(self, current: Configuration, change: Configuration) -> Configuration:
        """Return `current` with the fields that are set in `change`, and store it."""
        changes = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
        updated = msgspec.structs.replace(current, **changes)
        if updated != current:
            write_file(self._path, msgspec.json.encode(updated))
        return updated


class _Entry(msgspec.Struct, frozen=True):
    certificate_id: str = msgspec.field(name="of")
    filter: FilterDocument


class FilterStore:
    """Store the last filter with a sufficient measured attenuation, for a start without a network.

    Parameters
    ----------
    path : Path
    certificate_id : str
        Identifies the registration; a filter of another registration is not used.
    """

    def __init__(self, path: Path, certificate_id: str) -> None:
        self._path = path
        self._certificate_id = certificate_id
        self._id = ""

    def read(self) -> FilterDocument | None:
        """Return the filter; None when it is missing, damaged, or of another registration."""
        try:
            entry = parse_json(self._path.read_bytes(), _Entry)
        except (OSError, Refused):
            return None
        self._id = entry.filter.id
        return entry.filter if entry.certificate_id == self._certificate_id else None

    def save(self, document: FilterDocument) -> None:
        """Store a filter, unless it is stored already, which spares the flash memory."""
        if document.id != self._id:
            write_file(self._path, msgspec.json.encode(_Entry(self._certificate_id, document)))
            self._id = document.id

    def delete(self, filter_id: str) -> None:
        """Delete the stored filter if it has this id."""
        if filter_id == self._id:
            with suppress(OSError):
                self._path.unlink()
            self._id = ""
