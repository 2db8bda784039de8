"""`anc.ports.Objects` in a folder."""

import os
import tempfile
from pathlib import Path


class FileObjects:
    """Files below a folder; a key is a relative path with `/`.

    A file is written beside its place and renamed, so that it is there whole or not at all.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder.resolve()

    def put(self, key: str, data: bytes) -> None:
        """See `anc.ports.Objects`."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
            part.write(data)
        os.replace(part.name, path)

    def get(self, key: str) -> bytes | None:
        """See `anc.ports.Objects`."""
        path = self._path(key)
        return path.read_bytes() if path.is_file() else None

    def delete(self, key: str) -> None:
        """See `anc.ports.Objects`."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        path = (self._folder / key).resolve()
        if not key or not path.is_relative_to(self._folder) or path == self._folder:
            raise ValueError(f"key: {key!r} does not name a file of the store")
        return path
