"""Start the platform for benchmarks in a separate process, on a free port with a new data folder."""

import os
import platform as system
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from local.process import children_of, cpu_seconds, free_port, peak_memory_mb, platform
from local.public_address import bypass_proxies

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


class Server(NamedTuple):
    """Port, process id and data folder of a running platform."""

    port: int
    pid: int
    data: Path

    @property
    def url(self) -> str:
        """URL of the REST API."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far; 0 if the system does not report them."""
        return cpu_seconds(self.pid) or 0.0

    def peak_mb(self) -> float:
        """Return the peak memory since `reset_peak`; 0 if the system does not report it."""
        return peak_memory_mb(self.pid) or 0.0

    def memory_mb(self) -> float:
        """Return the memory of all its processes, shared pages counted once; 0 if the system hides it."""
        found = [_proportional_kb(pid) for pid in (self.pid, *children_of(self.pid))]
        return sum(found) / 1024

    def reset_peak(self) -> None:
        """Reset `peak_mb` to the current memory (Linux)."""
        counters = Path(f"/proc/{self.pid}/clear_refs")
        if counters.exists():
            counters.write_text("5")


def _proportional_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(lines.partition("\nPss:")[2].split()[0])


@contextmanager
def platform_running() -> Iterator[Server]:
    """Start the platform with default settings, and stop it afterwards."""
    bypass_proxies(os.environ)  # as every `anc` command does
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", free_port()
        with platform(port, data) as running:
            yield Server(port, running.pid, data)


def environment() -> str:
    """Return machine, date and load as text."""
    machine = f"{os.cpu_count()} x {system.machine()}, Python {system.python_version()}"
    return f"{machine}, {time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f}"


def write_to_docs(part: str, text: str, path: Path = PAGE) -> None:
    """Replace the text between ``<!-- part -->`` and ``<!-- end -->`` in a page of `docs`."""
    place = re.compile(rf"(<!-- {part} -->\n).*?(<!-- end -->)", re.DOTALL)
    page, found = place.subn(lambda marks: f"{marks[1]}\n{text}\n\n{marks[2]}", path.read_text("utf-8"))
    if not found:
        raise ValueError(f"{path.name}: must contain <!-- {part} -->")
    path.write_text(page, "utf-8")
