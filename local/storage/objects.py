"""`anc.ports.Objects` in a folder."""

import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO
from urllib.parse import quote_plus

from anc.ports import ObjectChanged, ObjectInfo
from local.http.signed_urls import SignedUrls
from local.storage.faults import disk_errors

UNFINISHED = ".parts"
FILE_RETENTION_S, PART_RETENTION_S = 30 * 86_400, 86_400


class FileObjects:
    """Files in a folder; a key is a relative path with `/`.

    Files are written to a temporary name and renamed, so that they are never partial.

    Parameters
    ----------
    folder : Path
    links : SignedUrls, optional
        Creates the URLs for downloads and uploads.
    created : callable
        `created(key, size)` is called for every new file, like an S3 notification.
    """

    def __init__(
        self,
        folder: Path,
        links: SignedUrls | None = None,
        created: Callable[[str, int], None] = lambda key, size: None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder.resolve()
        self._links = links
        self._created = created
        self._finishing = threading.Lock()

    def put(self, key: str, data: bytes) -> None:
        """See `anc.ports.Objects`."""
        with self.incoming() as file:
            file.write(data)
            self.adopt(file, key)

    def get(self, key: str) -> bytes | None:
        """See `anc.ports.Objects`."""
        path = self._path(key)
        return path.read_bytes() if path.is_file() else None

    def delete(self, key: str) -> None:
        """See `anc.ports.Objects`."""
        self._path(key).unlink(missing_ok=True)

    def info(self, key: str) -> ObjectInfo | None:
        """See `anc.ports.Objects`."""
        path = self._path(key)
        return _about(path.stat()) if path.is_file() else None

    def open(self, key: str, etag: str) -> BinaryIO:
        """See `anc.ports.Objects`. A later replacement does not change an open file."""
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError as absent:
            raise ObjectChanged(f"{key} does not exist any more") from absent
        if _about(os.fstat(file.fileno())).etag != etag:
            file.close()
            raise ObjectChanged(f"{key} was replaced")
        return file

    def begin(self, key: str) -> str:
        """See `anc.ports.Objects`."""
        self._path(key)
        parts = secrets.token_hex(16)
        with disk_errors():
            self._parts(parts).mkdir(parents=True)
        return parts

    def put_part(self, key: str, parts: str, number: int, data: bytes) -> None:
        """See `anc.ports.Objects`."""
        with self.incoming() as file:
            file.write(data)
            self.adopt(file, key, parts, number)

    def stored_parts(self, key: str, parts: str) -> Sequence[int]:
        """See `anc.ports.Objects`."""
        return [int(path.name) for path in self._stored(parts)]

    def finish(self, key: str, parts: str) -> None:
        """See `anc.ports.Objects`."""
        with self._finishing:  # a concurrent second call would replace the file while it is read
            self._finish(key, parts)

    def abandon(self, key: str, parts: str) -> None:
        """See `anc.ports.Objects`."""
        shutil.rmtree(self._parts(parts), ignore_errors=True)

    def upload_link(self, key: str, size: int, expires_s: int) -> str:
        """See `anc.ports.Objects`."""
        return self._signer().put(key, size, expires_s)

    def part_link(self, key: str, parts: str, number: int, size: int, expires_s: int) -> str:
        """See `anc.ports.Objects`."""
        return self._signer().put(key, size, expires_s, parts, number)

    def download_link(self, key: str, expires_s: int, name: str) -> str:
        """See `anc.ports.Objects`."""
        return self._signer().get(key, expires_s, name)

    def path(self, key: str) -> Path | None:
        """Return the path of a file, or None."""
        path = self._path(key)
        return path if path.is_file() else None

    @contextmanager
    def incoming(self) -> Iterator[IO[bytes]]:
        """Return a context with a temporary file, deleted at its end unless it was adopted."""
        with disk_errors(), tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def adopt(self, incoming: IO[bytes], key: str, parts: str = "", number: int = 0) -> None:
        """Move an incoming file to a key, or to a part of it. Raises LookupError when finished."""
        incoming.flush()
        os.fsync(incoming.fileno())  # or a power cut could leave the name with an empty file
        path = self._parts(parts) / f"{number:05d}" if parts else self._path(key)
        if not parts:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.parent.is_dir():
            raise LookupError(f"{key}: the upload does not exist")
        os.replace(incoming.name, path)
        if not parts:
            self._created(key, path.stat().st_size)

    def sweep(self, now: float) -> None:
        """Delete files older than 30 days and parts older than one day, like the bucket's lifecycle rules."""
        for path in [path for path in self._folder.rglob("*") if path.is_file()]:
            unfinished = path.relative_to(self._folder).parts[0].startswith(".")
            if path.stat().st_mtime < now - (PART_RETENTION_S if unfinished else FILE_RETENTION_S):
                path.unlink(missing_ok=True)

    def _signer(self) -> SignedUrls:
        if self._links is None:
            raise RuntimeError("this store was created without links")
        return self._links

    def _path(self, key: str) -> Path:
        path = (self._folder / key).resolve() if "\0" not in key else self._folder
        inside = path.relative_to(self._folder).parts if path.is_relative_to(self._folder) else ()
        if not inside or inside[0].startswith("."):  # temporary files
            raise ValueError(f"key {key!r} does not name a file of the store")
        return path

    def _finish(self, key: str, parts: str) -> None:
        numbered = self._stored(parts)
        if numbered:
            with self.incoming() as file:
                for path in numbered:
                    with path.open("rb") as part:
                        shutil.copyfileobj(part, file)
                self.adopt(file, key)
            shutil.rmtree(self._parts(parts))
        elif not self._path(key).is_file():
            raise LookupError(f"{key}: the upload does not exist")

    def _stored(self, parts: str) -> list[Path]:
        folder = self._parts(parts)
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def _parts(self, parts: str) -> Path:
        if not parts.isalnum():
            raise ValueError(f"parts must be alphanumeric (got {parts!r})")
        return self._folder / UNFINISHED / parts


def arrival_event(key: str, size: int) -> dict[str, Any]:
    """Return the body of S3's notification of a new file."""
    file = {"key": quote_plus(key), "size": size}
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "local"}, "object": file},
            }
        ]
    }


def _about(stat: os.stat_result) -> ObjectInfo:
    return ObjectInfo(stat.st_size, f"{stat.st_mtime_ns:x}-{stat.st_ino:x}-{stat.st_size:x}")
