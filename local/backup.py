"""Backup and restore of a data folder.

A backup is an uncompressed ZIP file with the files of the folder at one moment. Writes to the database wait
while all other files are linked into a staging folder; files are replaced and never changed in place, so
links keep their content. The database is then copied from that moment's state with SQLite's online backup,
while the platform continues to write.
"""

import calendar
import json
import os
import shutil
import sqlite3
import stat
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import NamedTuple

from anc import __version__
from local.data_folder import (
    OTHERS_MODE,
    SIGNING_KEY,
    check_private,
    lock_folder,
    make_private,
    require_platform,
)
from local.storage import schema_version
from local.storage.database import BUSY_TIMEOUT_S
from local.storage.objects import UNFINISHED

DATABASE = "anc.db"
ABOUT = "backup.json"
FORMAT = 1
MAX_FILES = 1_000_000
MAX_ABOUT_BYTES = 10_000
STAGING, RESTORING = ".backup-", ".restore-"
LOCK = "lock"
# Of a running platform, valid for minutes, or a log.
LEFT_OUT = {
    DATABASE,
    f"{DATABASE}-wal",
    f"{DATABASE}-shm",
    LOCK,
    "issuer.lock",
    "invitations",
    "platform.log",
    "log",
}
ALWAYS_THERE = {LOCK, "lost+found"}  # in a folder that counts as empty
CHUNK = 1 << 20


class BackupFailed(Exception):
    """Raised when a backup cannot be made or restored; the message says why and what to do."""


class Archived(NamedTuple):
    """Number of files in an archive, and the bytes of their content."""

    files: int
    size: int


def back_up(data: Path, archive: Path) -> Archived:
    """Write the data folder of a platform, which may be running, to a new file.

    Parameters
    ----------
    data : Path
    archive : Path
        The file; readable by its owner only, because it contains private keys.

    Raises
    ------
    UnusableFolder
        When `data` holds no platform.
    BackupFailed
    OSError
    """
    require_platform(data)
    if os.path.lexists(archive):
        raise BackupFailed(f"{archive}: exists already; choose another name")
    if archive.resolve().is_relative_to(data.resolve()):
        raise BackupFailed(f"{archive}: is in the data folder; choose a place outside, best on another disk")
    for stale in data.glob(f"{STAGING}*"):  # of a backup that was killed
        if time.time() - stale.stat().st_mtime > BUSY_TIMEOUT_S:
            shutil.rmtree(stale, ignore_errors=True)
    staging = Path(mkdtemp(dir=data, prefix=STAGING))
    try:
        _stage(data, staging)
        return _write(staging, archive)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def restore(archive: Path, data: Path) -> Archived:
    """Create a data folder from a backup.

    Parameters
    ----------
    archive : Path
    data : Path
        A missing or empty folder. Nothing stays in it when the restore fails.

    Raises
    ------
    BackupFailed
        When the archive is damaged or no backup, or the folder is not empty.
    UnusableFolder
        When another process uses the folder, or a newer release wrote the backup.
    OSError
    """
    created = not data.exists()
    make_private(data)
    if others := sorted(path.name for path in data.iterdir() if path.name not in ALWAYS_THERE):
        raise BackupFailed(f"{data}: is not empty ({others[0]}); choose a new folder with --data")
    locked = lock_folder(data, "a restore", "wait for it")
    incoming = Path(mkdtemp(dir=data, prefix=RESTORING))
    done = False
    try:
        data.chmod(0o700)
        restored = _extract(archive, incoming)
        _check_platform(archive, incoming)
        # The signing key is last: without it, the folder holds no platform
        for path in sorted(incoming.iterdir(), key=lambda path: path.name == SIGNING_KEY):
            path.rename(data / path.name)
        check_private(data)
        done = True
        return restored
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
        if not done:
            (data / LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                if created:
                    data.rmdir()
        os.close(locked)


def _stage(data: Path, staging: Path) -> None:
    path = data / DATABASE
    if not path.exists():
        raise BackupFailed(f"{data}: holds no database; start the platform once")
    try:
        with closing(_open(path)) as snapshot, closing(sqlite3.connect(staging / DATABASE)) as copy:
            with _writers_paused(path):
                snapshot.execute("BEGIN")
                snapshot.execute("SELECT count(*) FROM sqlite_master").fetchone()  # its state from now on
                _link_files(data, staging)
            snapshot.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file
    except sqlite3.Error as fault:
        raise BackupFailed(f"{path}: cannot be copied ({fault})") from fault


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)


@contextmanager
def _writers_paused(path: Path) -> Iterator[None]:
    with closing(_open(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def _link_files(data: Path, staging: Path) -> None:
    for name in sorted(os.listdir(data)):
        if name in LEFT_OUT or name.startswith((STAGING, RESTORING)) or name.endswith(".new"):
            continue
        if (data / name).is_dir():
            _link_tree(data / name, staging / name)
        else:
            _link(data / name, staging / name)


def _unlistable(fault: OSError) -> None:
    """Raise why a folder is not in the backup, unless it was deleted meanwhile. `os.walk` would skip both."""
    if not isinstance(fault, FileNotFoundError):
        raise fault


def _link_tree(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for folder, folders, files in os.walk(source, onerror=_unlistable):
        inside = Path(folder).relative_to(source)
        if not inside.parts:  # temporary files of the object store
            folders[:] = [name for name in folders if name == UNFINISHED or not name.startswith(".")]
            files = [name for name in files if not name.startswith(".")]  # noqa: PLW2901
        for name in folders:
            (target / inside / name).mkdir(mode=0o700)
        for name in files:
            _link(Path(folder, name), target / inside / name)


def _link(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):  # deleted meanwhile
        if not stat.S_ISREG(source.lstat().st_mode):
            raise BackupFailed(f"{source}: is not a regular file; remove it or move it elsewhere")
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # another disk, or a file system without links
            shutil.copy2(source, target)


def _write(staging: Path, archive: Path) -> Archived:
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    if len(files) > MAX_FILES:
        raise BackupFailed(f"{len(files):,} files: a backup holds at most {MAX_FILES:,}")
    size = sum(path.stat().st_size for path in files)
    free = shutil.disk_usage(archive.absolute().parent).free
    if size > free:
        raise BackupFailed(f"{archive}: needs {size:,} bytes, but the disk has {free:,} free")
    about = {
        "format": FORMAT,
        "version": __version__,
        "created": time.time(),
        "files": len(files),
        "size": size,
    }
    try:
        descriptor = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as fault:
        raise BackupFailed(f"{archive}: exists already; choose another name") from fault
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.fstat(descriptor).st_mode & OTHERS_MODE:
                raise BackupFailed(f"{archive}: its file system cannot keep other users out; choose another")
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as opened:
                opened.writestr(ABOUT, json.dumps(about))
                for path in files:
                    _add(opened, path, path.relative_to(staging).as_posix())
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        archive.unlink(missing_ok=True)
        raise
    return Archived(len(files), size)


def _add(opened: zipfile.ZipFile, path: Path, name: str) -> None:
    changed = time.gmtime(max(path.stat().st_mtime, 315_532_800))  # ZIP files know times from 1980 on
    member = zipfile.ZipInfo(name, changed[:6])
    member.external_attr = (stat.S_IFREG | 0o600) << 16
    with path.open("rb") as source, opened.open(member, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, CHUNK)


def _extract(archive: Path, folder: Path) -> Archived:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            about = _read_about(archive, members, opened)
            files = [_checked(archive, member) for member in members[1:]]
            size = sum(member.file_size for member in files)
            if (len(files), size) != (about.get("files"), about.get("size")):
                raise BackupFailed(f"{archive}: damaged: files are missing")
            free = shutil.disk_usage(folder).free
            if size > free:
                raise BackupFailed(f"{folder.parent}: needs {size:,} bytes, but the disk has {free:,} free")
            for member in files:
                _extract_member(opened, member, folder)
            os.sync()  # much faster than one file at a time
            return Archived(len(files), size)
    # zipfile raises many kinds on damaged files
    except (
        zipfile.BadZipFile,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        OverflowError,
    ) as fault:
        raise BackupFailed(f"{archive}: damaged, or no backup ({fault})") from fault
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as fault:
        raise BackupFailed(f"{archive}: damaged: two files have the same name") from fault


def _read_about(archive: Path, members: list[zipfile.ZipInfo], opened: zipfile.ZipFile) -> dict[str, object]:
    if not members or members[0].filename != ABOUT or members[0].file_size > MAX_ABOUT_BYTES:
        raise BackupFailed(f"{archive}: is no backup of a platform")
    if len(members) > MAX_FILES + 1:
        raise BackupFailed(f"{archive}: {len(members):,} files, at most {MAX_FILES:,}")
    about = json.loads(opened.read(_checked(archive, members[0])))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise BackupFailed(f"{archive}: has another format; restore it with the version that wrote it")
    return about


def _checked(archive: Path, member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return a member if it is a plain file inside the folder, without compression; raise BackupFailed."""
    name = member.orig_filename
    path = PurePosixPath(name)
    inside = not path.is_absolute() and path.as_posix() == name and not {"..", "."} & set(path.parts)
    plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG) and not member.is_dir()
    stored = member.compress_type == zipfile.ZIP_STORED and member.compress_size == member.file_size
    if not inside or "\\" in name or "\0" in name or not path.parts or path.parts[0] in ALWAYS_THERE:
        raise BackupFailed(f"{archive}: {name!r} is not a file of a data folder; nothing was restored")
    if not plain or not stored or member.flag_bits & 1:
        raise BackupFailed(f"{archive}: {name!r} is not stored as in a backup; nothing was restored")
    return member


def _extract_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    path = folder / member.filename
    make_private(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as target, opened.open(member) as source:
        shutil.copyfileobj(source, target, CHUNK)  # checks the CRC at the end
    changed = calendar.timegm((*member.date_time, 0, 0, 0))
    os.utime(path, (changed, changed))


def _check_platform(archive: Path, folder: Path) -> None:
    if not (folder / SIGNING_KEY).is_file() or not (folder / DATABASE).is_file():
        raise BackupFailed(f"{archive}: is no backup of a platform")
    try:
        with closing(_open(folder / DATABASE)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            schema_version.check(connection, archive)
    except sqlite3.DatabaseError as fault:
        found = str(fault)
    if found != "ok":
        raise BackupFailed(f"{archive}: the database in it is damaged ({found})")
