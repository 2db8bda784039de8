"""Run out of memory: a process handles the messages of a flow with little memory, and another one continues.

The limit is that of the address space (`RLIMIT_AS`), so that allocations fail as they do in a container whose
memory is used up, wherever they happen to be: in Python, in numpy, or in a library that ends the process.
"""

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from functions.routes import QUEUES
from tests.faults.platform import FaultyPlatform
from tests.faults.sigkill import continue_flow, in_child, prepare

SPARE_KB = (0, 4, 16, 64, 256, 1024, 4096)  # in pieces of 1 KB that lie together
LEAST_BYTES = 8 * 1024**2  # that the process may get, for the spare memory
FLOWS_STARVED = ("snapshot to shadow", "emergency in a snapshot", "telemetry", "presence")
ALL_DONE = 3  # exit code of a process that handled every message of its turn


def shortages(name: str, folder: Path) -> Iterator[tuple[int, bool, bool]]:
    """Yield the spare memory in KB, whether it was enough, and whether the promise was kept afterwards."""
    template = folder / "template"
    template.mkdir(parents=True)
    assert in_child(lambda: prepare(name, template)) == 0
    for spare in SPARE_KB:
        data = folder / f"data-{spare}"
        shutil.copytree(template, data)
        enough = in_child(lambda data=data, spare=spare: _starve(data, spare)) == ALL_DONE  # type: ignore[misc]
        yield spare, enough, in_child(lambda data=data: continue_flow(name, data)) == 0  # type: ignore[misc]
        shutil.rmtree(data)


def _fill_memory(spare_kb: int) -> list[bytearray]:
    """Take all memory that the process can get but `spare_kb`, down to small pieces."""
    size = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (size + LEAST_BYTES, size + LEAST_BYTES))
    spare = [bytearray(1024) for _ in range(spare_kb)]
    ballast: list[bytearray] = []
    for piece in (65_536, 4096, 1024, 256, 32):
        with suppress(MemoryError):
            while True:
                ballast.append(bytearray(piece))
    spare.clear()
    return ballast


def _starve(folder: Path, spare_kb: int) -> None:
    """Handle each queue's messages once; end with `ALL_DONE` if none failed."""
    here = FaultyPlatform(folder)
    ballast = _fill_memory(spare_kb)
    for route in QUEUES:
        here._consume(route.name)
    ballast.clear()
    failed = here._database.connection.execute("SELECT count(*) FROM messages WHERE receives > 0").fetchone()
    if failed == (0,):
        os._exit(ALL_DONE)
