"""End a real process with SIGKILL before each statement that writes, and continue on its data folder.

The clock of the next process starts where that of the first one did: it jumps back by up to minutes.
"""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from local.storage import faults as storage
from tests.faults.flows import FLOWS
from tests.faults.headset_flows import check_shadow
from tests.faults.platform import FaultyPlatform

WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT")
NAME = "left"
FAILED = 1


def events_of_alarm(here: FaultyPlatform, thing: str) -> None:
    """Check the shadow and the event; what was sent to others ended with the process."""
    check_shadow(here, thing)
    found = here.fake.deps.emergencies.list("alice")
    assert len(found) == 1, f"{len(found)} events of one alarm"


CHECKS = {
    "snapshot to shadow": FLOWS["snapshot to shadow"].check,
    "emergency in a snapshot": events_of_alarm,
    "recording to report": FLOWS["recording to report"].check,
    "telemetry": FLOWS["telemetry"].check,
    "presence": FLOWS["presence"].check,
}


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked process; return its exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        code = FAILED
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def prepare(name: str, folder: Path) -> None:
    here = FaultyPlatform(folder)
    here.run = here.enqueue  # type: ignore[method-assign]
    FLOWS[name].prepare(here, NAME)
    FLOWS[name].run(here, NAME)


def _run_until(number: int, folder: Path) -> None:
    here = FaultyPlatform(folder)
    execute, count = storage.Connection.execute, [0]

    def counted(self: storage.Connection, sql: str, *arguments: Any) -> Any:
        if sql.lstrip().startswith(WRITES):
            count[0] += 1
            if count[0] > number:
                os.kill(os.getpid(), signal.SIGKILL)
        return execute(self, sql, *arguments)

    storage.Connection.execute = counted  # type: ignore[method-assign, assignment]
    here.run()


def continue_flow(name: str, folder: Path) -> None:
    here = FaultyPlatform(folder)
    for queue in here.queues.values():
        queue.release()
    here.run()
    here.clock.now += 120.0  # past the hold, wherever the clock of the first process was
    here.run()
    CHECKS[name](here, NAME)
    assert here.dead_letters() == []


def kills(name: str, folder: Path, step: int = 1) -> Iterator[tuple[int, bool]]:
    """Kill a flow before each `step`-th write; yield its number, and whether the promise was kept."""
    template = folder / "template"
    (template / "warm").mkdir(parents=True)
    FLOWS[name].prepare(warm := FaultyPlatform(template / "warm"), NAME)
    FLOWS[name].run(warm, NAME)  # computes once what every child process needs
    shutil.rmtree(template / "warm")
    assert in_child(lambda: prepare(name, template)) == 0
    number = 0
    while True:
        data = folder / f"data-{number}"
        shutil.copytree(template, data)
        ended = in_child(lambda data=data, number=number: _run_until(number, data))  # type: ignore[misc]
        assert ended in (0, -signal.SIGKILL), ended
        if ended == 0:
            return
        yield number, in_child(lambda data=data: continue_flow(name, data)) == 0  # type: ignore[misc]
        shutil.rmtree(data)
        number += step
