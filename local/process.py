"""Run the platform as a child process that ends with its parent, and measure processes."""

import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from local.configuration import LISTENING
from local.data_folder import prepare

FREE_PORTS = (15_000, 32_000)
START_S = 300.0  # generous, for a busy machine; a failed start ends the process anyway
STOP_S = 60.0
ERROR_PREFIX = "anc: "


class PlatformFailed(RuntimeError):
    """Raised when the platform did not start or refused a request; the message says why."""


class Running(NamedTuple):
    """A running platform: URL, process id, and notices for the owner of its data folder."""

    url: str
    pid: int
    notices: Sequence[str] = ()


@contextlib.contextmanager
def platform(port: int, data: Path, core: int | None = None) -> Iterator[Running]:
    """Run the platform in a child process, which ends with this process in any case.

    Parameters
    ----------
    port : int
    data : Path
    core : int, optional
        Restrict the platform to one processor core, where the system supports it.

    Raises
    ------
    PlatformFailed
        When it did not start; the message is its error.
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
                # It serves its parent, on this machine
                env=os.environ | dict.fromkeys(LISTENING, ""),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # so that an interrupt at the terminal ends the headset first
            )
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})  # before it starts threads
            ready = _await(ours, log, start)
            yield Running(ready["url"], process.pid, [*notices, *ready["notices"]])
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


class Parent:
    """Connection to the parent process that started this platform with `platform`.

    Parameters
    ----------
    descriptor : int
        Inherited socket descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        threading.Thread(target=self._end_with_it, name="parent", daemon=True).start()

    def tell_ready(self, url: str, notices: Sequence[str]) -> None:
        """Report that the platform is ready, with its URL and notices."""
        self._socket.sendall(json.dumps({"url": url, "notices": list(notices)}).encode() + b"\n")

    def _end_with_it(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.recv(1)  # returns when the parent has ended, since nothing is sent
        os.kill(os.getpid(), signal.SIGTERM)


def free_port() -> int:
    """Return a free port whose successor is free too: REST and MQTT.

    It lies below the range from which systems take the ports of outgoing connections: one of those could
    take the port before the platform does.
    """
    while True:
        port = random.randrange(*FREE_PORTS, 2)  # noqa: S311  no secret
        first, second = ("127.0.0.1", port), ("127.0.0.1", port + 1)
        with contextlib.suppress(OSError), socket.create_server(first), socket.create_server(second):
            return port


def cores() -> list[int]:
    """Return the processor cores that this process may use; empty if unknown."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a process and its children in seconds; None if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child) or 0.0 for child in children_of(pid))


def children_of(pid: int) -> list[int]:
    """Return the child processes of a process; empty if unknown."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            found += map(int, task.read_text().split())
    return sorted(found)


def peak_memory_mb(pid: int) -> float | None:
    """Return the peak memory of a process in megabytes; None if unknown."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def open_as_many_files_as_allowed() -> None:
    """Raise the limit of open files of this process, and so of connections, to the system's maximum."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems have a lower maximum than reported
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _await(child: socket.socket, log: Path, start: int) -> dict[str, Any]:
    """Wait for the ready message of a platform. Raises PlatformFailed when it ends first or times out."""
    child.settimeout(START_S)
    try:
        with child.makefile("rb") as stream:
            line = stream.readline()
    except TimeoutError as fault:
        raise PlatformFailed(f"the platform was not ready after {START_S:.0f} s; see {log}") from fault
    if line:
        ready: dict[str, Any] = json.loads(line)
        return ready
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    reasons = [text.removeprefix(ERROR_PREFIX) for text in lines if text.startswith(ERROR_PREFIX)]
    raise PlatformFailed(reasons[-1] if reasons else f"the platform ended during its start; see {log}")
