"""The platform as people start it, for benchmarks: a process of its own, on a free port and a new folder."""

import os
import platform as system
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from local.process import cpu_seconds, free_port, peak_memory_mb, platform

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


class Server(NamedTuple):
    """A platform that runs: its port, its process, and its data folder."""

    port: int
    pid: int
    data: Path

    def cpu_s(self) -> float:
        """Return the processor's seconds that it has taken so far; 0 where the system does not tell."""
        return cpu_seconds(self.pid) or 0.0

    def peak_mb(self) -> float:
        """Return the most memory that it has held since `forget_peak`; 0 where the system does not tell."""
        return peak_memory_mb(self.pid) or 0.0

    def forget_peak(self) -> None:
        """Let `peak_mb` count from what it holds now (Linux)."""
        counters = Path(f"/proc/{self.pid}/clear_refs")
        if counters.exists():
            counters.write_text("5")


@contextmanager
def platform_running() -> Iterator[Server]:
    """Start the platform as people do, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", free_port()
        with platform(port, data) as running:
            yield Server(port, running.pid, data)


def circumstances() -> str:
    """Return on what, when, and beside how much else something is measured."""
    machine = f"{os.cpu_count()} x {system.machine()}, Python {system.python_version()}"
    return f"{machine}, {time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f}"


def write_down(part: str, text: str) -> None:
    """Replace what `docs/performance.md` says between ``<!-- part -->`` and ``<!-- end -->``."""
    place = re.compile(rf"(<!-- {part} -->\n).*?(<!-- end -->)", re.DOTALL)
    page, found = place.subn(lambda marks: f"{marks[1]}\n{text}\n\n{marks[2]}", PAGE.read_text("utf-8"))
    if not found:
        raise ValueError(f"{PAGE.name}: no place for {part}")
    PAGE.write_text(page, "utf-8")
