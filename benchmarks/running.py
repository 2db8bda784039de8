"""The platform as people start it, for benchmarks: a process of its own, on a free port and a new folder."""

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

UP = "the platform is up"
MB = 1024 * 1024


class Server(NamedTuple):
    """A platform that runs: its port, its process, and its data folder."""

    port: int
    pid: int
    data: Path

    def cpu_s(self) -> float:
        """Return the processor's seconds that it has taken so far (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """Return the most memory that it has held since `forget_peak` (Linux)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / MB

    def forget_peak(self) -> None:
        """Let `peak_mb` count from what it holds now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


@contextmanager
def platform_running() -> Iterator[Server]:
    """Start the platform as people do, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder) / "data", _free_port()
        anc = str(Path(sys.executable).with_name("anc"))
        process = subprocess.Popen(
            [anc, "up", "--port", str(port), "--data", str(data)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "RATE_LIMIT_SCALE": "1000", "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            assert process.stdout is not None
            if UP not in process.stdout.readline():
                raise RuntimeError("the platform did not start")
            yield Server(port, process.pid, data)
        finally:
            process.terminate()
            process.wait(30)


def circumstances() -> str:
    """Return on what, when, and beside how much else something is measured."""
    machine = f"{os.cpu_count()} x {platform.machine()}, Python {platform.python_version()}"
    return f"{machine}, {time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f}"


def _free_port() -> int:
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue
