"""`python -m benchmarks.start`: the time from the start of `anc up` to its first answer on /health.

Each start has an empty data folder, so that keys and database are created too. The first start compiles
bytecode and fills the page cache, and does not count. The processor time is that of all processes of the
platform; unlike the other, it hardly depends on the load of the machine. The target is 2 s.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from benchmarks.processes import environment
from local.process import cpu_seconds, free_port

TARGET_S = 2.0
ASK_AGAIN_S = 0.01


def start(folder: Path) -> tuple[float, float]:
    """Start the platform, wait for its first answer and stop it; return seconds and processor seconds."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("anc")),
        "up",
        "--port",
        str(port),
        "--data",
        str(folder / "data"),
    ]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder, env=variables) as process:
        try:
            while process.poll() is None:
                with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
                    answer.read()
                    break
                time.sleep(ASK_AGAIN_S)
            took, used = time.perf_counter() - begin, cpu_seconds(process.pid)
        finally:
            process.terminate()
    if used is None:
        raise RuntimeError("the platform ended during its start")
    return took, used


def measure(rounds: int) -> list[tuple[float, float]]:
    """Return the times of several starts."""
    starts = []
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            starts.append(start(Path(folder)))
    return starts[1:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    starts = measure(parser.parse_args().rounds)
    print(environment())
    print(f"{len(starts)} starts\n")
    print(f"{'seconds':12}{'median':>10}{'fastest':>10}{'slowest':>10}")
    for name, times in zip(("until /health", "processor"), zip(*starts, strict=True), strict=True):
        print(f"{name:14}{statistics.median(times):8.2f}{min(times):10.2f}{max(times):10.2f}")
