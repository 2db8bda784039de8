"""The platform as a process of its own: started, watched, and ended with the one that started it."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from local.data_folder import prepare

START_S = 300.0  # on a machine with other things to do; one that cannot start ends by itself
STOP_S = 60.0
SAYS = "anc: "  # what stands before the reason for which a command stops


class PlatformFailed(RuntimeError):
    """The platform did not start, or refused what it was asked for; the message says why."""


class Running(NamedTuple):
    """A platform that answers: its address, its process, and what the owner of its folder has to know."""

    url: str
    pid: int
    notices: Sequence[str] = ()


@contextlib.contextmanager
def platform(port: int, data: Path, core: int | None = None) -> Iterator[Running]:
    """Run the platform in a process of its own. It ends when this one does, however.

    Parameters
    ----------
    port : int
    data : Path
    core : int, optional
        The one processor core that it may use, where the system can hold it to one.

    Raises
    ------
    PlatformFailed
        It did not start; the message is what it said.
    UnusableFolder
    """
    notices = prepare(data)
    command = [sys.executable, "-m", "tools.cli.main", "up", "--port", str(port), "--data", str(data)]
    log = data / "platform.log"
    ours, theirs = socket.socketpair()
    with ours, os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
        with theirs:
            start = log.stat().st_size
            process = subprocess.Popen(  # noqa: S603  our own command
                [*command, "--parent", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # an interrupt at the terminal ends the headset first
            )
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})  # before it has any thread but its first
            ready = _await(ours, log, start)
            yield Running(ready["url"], process.pid, [*notices, *ready["notices"]])
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


class Parent:
    """The process that started this platform with `platform`, at the other end of a socket.

    Parameters
    ----------
    descriptor : int
        Of the socket, inherited.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        threading.Thread(target=self._end_with_it, name="parent", daemon=True).start()

    def tell_ready(self, url: str, notices: Sequence[str]) -> None:
        """Say that the platform answers, where, and what its owner has to know."""
        self._socket.sendall(json.dumps({"url": url, "notices": list(notices)}).encode() + b"\n")

    def _end_with_it(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.recv(1)  # nothing is ever sent: it returns when the parent has ended
        os.kill(os.getpid(), signal.SIGTERM)


def free_port() -> int:
    """Return a port that is free and whose neighbour is: REST on it, MQTT on the next."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
                return port


def cores() -> list[int]:
    """Return the cores that this process may use, or none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time in seconds that a process and its children have taken; None where it is unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child) or 0.0 for child in children_of(pid))


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that it has not taken leave of; none if unknown."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            found += map(int, task.read_text().split())
    return sorted(found)


def peak_memory_mb(pid: int) -> float | None:
    """Return the most memory that a process has held so far; None where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def open_as_many_files_as_allowed() -> None:
    """Raise this process's limit of open files, and so of connections, as far as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems bound it below what they call the limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _await(child: socket.socket, log: Path, start: int) -> dict[str, Any]:
    """Return what a platform says once it answers. Raises PlatformFailed when it ends before or is silent."""
    child.settimeout(START_S)
    try:
        with child.makefile("rb") as lines:
            line = lines.readline()
    except TimeoutError as fault:
        raise PlatformFailed(f"it does not answer after {START_S:.0f} s; {log} may say why") from fault
    if line:
        ready: dict[str, Any] = json.loads(line)
        return ready
    said = log.read_bytes()[start:].decode(errors="replace").splitlines()
    reasons = [text.removeprefix(SAYS) for text in said if text.startswith(SAYS)]
    raise PlatformFailed(reasons[-1] if reasons else f"the platform ended at its start; {log} says why")
