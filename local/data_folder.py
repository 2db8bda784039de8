"""The data folder of a platform on this machine: where it lies, who can read it, and who uses it."""

import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

APPLICATION = "anc-platform"
FORMER_DEFAULT = Path("anc-data")  # in the working directory, up to version 0.1
SIGNING_KEY = "issuer.pem"
PLATFORM_FILES = (SIGNING_KEY, "anc.db")
HOLDER_BYTES = 200
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class UnusableFolder(Exception):
    """A data folder cannot be used; the message names it, says why and what to do."""


class FolderInUse(UnusableFolder):
    """Another process uses the folder."""


def default_folder() -> Path:
    """Return the data folder of the current user when no other one is named."""
    return platformdirs.user_data_path(APPLICATION, appauthor=False)


def prepare(data: Path) -> list[str]:
    """Make a data folder ready for a platform that starts: present, and accessible to its owner alone.

    A folder that holds no platform yet is closed to other users. One that does is not: its keys may have been
    read, and whoever owns it has to know.

    Returns
    -------
    list of str
        What was changed that the owner does not expect, one sentence each.

    Raises
    ------
    UnusableFolder
    OSError
        It cannot be created or changed.
    """
    if data.parts[:1] == ("~",):
        raise UnusableFolder(f"{data}: there is no home folder here that ~ stands for; name one with --data")
    make_private(data)
    notices = []
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & OTHERS:
        check_private(data)
        is_empty = not any(data.iterdir())
        if not is_empty and _is_shared(data, mode):
            raise UnusableFolder(f"{data}: holds other things too; choose an empty or new folder with --data")
        data.chmod(mode & ~OTHERS)
        if stat.S_IMODE(data.stat().st_mode) & OTHERS:
            raise UnusableFolder(
                f"{data}: its file system cannot keep other users out; choose a folder elsewhere with --data"
            )
        if not is_empty:
            notices.append(f"{data} was open to other users (mode {mode:o}); it is closed now")
    for path in data.iterdir():
        with suppress(FileNotFoundError):  # of a platform that runs
            mode = path.lstat().st_mode
            if mode & OTHERS and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~OTHERS)
    return notices


def make_private(folder: Path) -> None:
    """Create a folder, and those above it that are missing, accessible to their owner alone."""
    for missing in [one for one in (*reversed(folder.parents), folder) if not one.exists()]:
        missing.mkdir(exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True)  # raises when it is a file


def require_platform(data: Path) -> None:
    """Return if a platform has been started on a folder that others cannot access; create nothing.

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
    """Return whether a platform was started on a folder."""
    return (data / SIGNING_KEY).exists()


def former_data(data: Path) -> str:
    """Return how to go on with the data of an earlier version, or "" when there is none or it is in use."""
    if data != default_folder() or not any((FORMER_DEFAULT / name).exists() for name in PLATFORM_FILES):
        return ""
    return f"an earlier version kept its data in ./{FORMER_DEFAULT}; go on with it: --data {FORMER_DEFAULT}"


@contextmanager
def folder_lock(folder: Path, holder: str, advice: str) -> Iterator[None]:
    """Hold a folder as `hold` does, for the time of a `with` block."""
    lock = lock_folder(folder, holder, advice)
    try:
        yield
    finally:
        os.close(lock)


def lock_folder(folder: Path, holder: str, advice: str) -> int:
    """Hold a folder that one process uses at a time, until this process ends.

    Parameters
    ----------
    folder : Path
    holder : str
        Who holds it, for the message that another process gets.
    advice : str
        What to do when another process holds it.

    Returns
    -------
    int
        A file descriptor; closing it releases the folder.

    Raises
    ------
    FolderInUse
    """
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        other = os.pread(lock, HOLDER_BYTES, 0).decode(errors="replace") or "another process"
        os.close(lock)
        raise FolderInUse(f"{folder}: in use by {other}; {advice}") from fault
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{holder} (process {os.getpid()})".encode(), 0)
    return lock


def check_private(data: Path) -> None:
    """Raise UnusableFolder when a folder that holds a platform can be accessed by other users."""
    if not data.is_dir():
        return
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & OTHERS and any((data / name).exists() for name in PLATFORM_FILES):
        raise UnusableFolder(
            f"{data}: other users can access it (mode {mode:o}), and it holds the platform's private keys;"
            f" close it with `chmod -R go= {shlex.quote(str(data))}`"
        )


def _is_shared(data: Path, mode: int) -> bool:
    """Return whether a folder is likely to be there for more than a platform: /tmp, a home, a checkout."""
    here = data.resolve()
    return bool(mode & stat.S_ISVTX) or any(
        here in (place, *place.parents) for place in (Path(os.path.expanduser("~")).resolve(), Path.cwd())
    )


def _former_hint(data: Path) -> str:
    return f" ({former})" if (former := former_data(data)) else ""
