"""The data folder of a local platform: location, permissions, lock."""

import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

APPLICATION = "anc-platform"
FORMER_DEFAULT = Path("anc-data")  # in the working directory, until version 0.1
SIGNING_KEY = "issuer.pem"
PLATFORM_FILES = (SIGNING_KEY, "anc.db")
MAX_HOLDER_BYTES = 200
OTHERS_MODE = stat.S_IRWXG | stat.S_IRWXO


class UnusableFolder(Exception):
    """Raised when a data folder cannot be used; the message names it and says why and what to do."""


class FolderInUse(UnusableFolder):
    """Raised when another process uses the folder."""


def default_folder() -> Path:
    """Return the default data folder of the current user."""
    return platformdirs.user_data_path(APPLICATION, appauthor=False)


def prepare(data: Path) -> list[str]:
    """Create the data folder if missing and restrict access to its owner.

    Access is only restricted while the folder holds no platform yet. Otherwise its keys may have been read
    already, and the owner must be informed.

    Returns
    -------
    list of str
        Notices for the owner about changes, one sentence each.

    Raises
    ------
    UnusableFolder
    OSError
        When the folder cannot be created or changed.
    """
    if data.parts[:1] == ("~",):
        raise UnusableFolder(f"{data}: ~ cannot be resolved to a home folder; choose a folder with --data")
    make_private(data)
    notices = []
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & OTHERS_MODE:
        check_private(data)
        is_empty = not any(data.iterdir())
        if not is_empty and _is_shared(data, mode):
            raise UnusableFolder(f"{data}: holds other files too; choose an empty or new folder with --data")
        data.chmod(mode & ~OTHERS_MODE)
        if stat.S_IMODE(data.stat().st_mode) & OTHERS_MODE:
            raise UnusableFolder(
                f"{data}: its file system cannot keep other users out; choose a folder elsewhere with --data"
            )
        if not is_empty:
            notices.append(f"{data} was open to other users (mode {mode:o}); it is closed now")
    for path in data.iterdir():
        with suppress(FileNotFoundError):  # deleted by a running platform meanwhile
            mode = path.lstat().st_mode
            if mode & OTHERS_MODE and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~OTHERS_MODE)
    return notices


def make_private(folder: Path) -> None:
    """Create a folder and its missing parents, accessible to their owner only."""
    for missing in [one for one in (*reversed(folder.parents), folder) if not one.exists()]:
        missing.mkdir(exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True)  # raises when it is a file


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Give an open file or folder to the owner of a folder, when root created it there.

    Root calls commands for a platform that runs as a service, which must be able to read what they write.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def require_platform(data: Path) -> None:
    """Check that a folder holds a platform and is private; creates nothing.

    Raises
    ------
    UnusableFolder
    """
    if not holds_platform(data):
        what = "holds no platform" if data.is_dir() else "there is no such folder"
        raise UnusableFolder(
            f"{data}: {what}; start one there with `anc up`, or name the folder of one that was started"
            f" with --data or ANC_DATA{_former_hint(data)}"
        )
    check_private(data)


def holds_platform(data: Path) -> bool:
    """Return whether a folder holds a platform."""
    return (data / SIGNING_KEY).exists()


def former_data(data: Path) -> str:
    """Return a hint about the data folder of an earlier version; "" when there is none or it is in use."""
    if data != default_folder() or not any((FORMER_DEFAULT / name).exists() for name in PLATFORM_FILES):
        return ""
    return f"an earlier version stored its data in ./{FORMER_DEFAULT}; to use it: --data {FORMER_DEFAULT}"


@contextmanager
def folder_lock(folder: Path, holder: str, advice: str) -> Iterator[None]:
    """Lock a folder as `lock_folder` does, for the duration of a `with` block."""
    lock = lock_folder(folder, holder, advice)
    try:
        yield
    finally:
        os.close(lock)


def lock_folder(folder: Path, holder: str, advice: str) -> int:
    """Lock a folder until this process ends.

    Parameters
    ----------
    folder : Path
    holder : str
        Description of the holder, for the error in other processes.
    advice : str
        Advice for the error when another process holds the lock.

    Returns
    -------
    int
        A file descriptor; closing it releases the lock.

    Raises
    ------
    FolderInUse
    """
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        other = os.pread(lock, MAX_HOLDER_BYTES, 0).decode(errors="replace") or "another process"
        os.close(lock)
        raise FolderInUse(f"{folder}: in use by {other}; {advice}") from fault
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{holder} (process {os.getpid()})".encode(), 0)
    return lock


def check_private(data: Path) -> None:
    """Raise UnusableFolder when other users can access a folder that holds a platform."""
    if not data.is_dir():
        return
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & OTHERS_MODE and any((data / name).exists() for name in PLATFORM_FILES):
        raise UnusableFolder(
            f"{data}: other users can access it (mode {mode:o}), and it holds the platform's private keys;"
            f" close it with `chmod -R go= {shlex.quote(str(data))}`"
        )


def _is_shared(data: Path, mode: int) -> bool:
    """Return whether a folder is likely used for other purposes too: /tmp, a home folder, a checkout."""
    folder = data.resolve()
    return bool(mode & stat.S_ISVTX) or any(
        folder in (place, *place.parents) for place in (Path(os.path.expanduser("~")).resolve(), Path.cwd())
    )


def _former_hint(data: Path) -> str:
    return f" ({former})" if (former := former_data(data)) else ""
