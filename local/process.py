"""The platform as a process of its own: started, watched, and ended with the one that started it."""

import contextlib
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

START_S = 30.0
STOP_S = 10.0


class PlatformFailed(RuntimeError):
    """The platform did not start, or refused what it was asked for; the message says why."""


class Running(NamedTuple):
    """A platform that answers: its address, and its process."""

    url: str
    pid: int


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
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-m", "local.cli", "up", "--port", str(port), "--data", str(data)]
    log = data / "platform.log"
    with log.open("ab") as out:
        start = log.stat().st_size
        process = subprocess.Popen(  # noqa: S603  our own command
            [*command, "--until-input-ends"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt at the terminal ends the headset first
        )
    if core is not None:
        os.sched_setaffinity(process.pid, {core})  # before it has any thread but its first
    url = f"http://127.0.0.1:{port}"
    try:
        _await(process, url, log, start)
        yield Running(url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


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


def _await(process: "subprocess.Popen[bytes]", url: str, log: Path, start: int) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise PlatformFailed(log.read_bytes()[start:].decode(errors="replace").strip())
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health").is_success:
                return
        time.sleep(0.1)
    raise PlatformFailed(f"it does not answer at {url} after {START_S:.0f} s; {log} may say why")
