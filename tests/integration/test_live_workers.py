"""The worker processes of live sessions: sessions survive them, and they end with the platform."""

import asyncio
import os
import signal
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anc.settings import Settings
from local.auth.issuer import Issuer
from local.http.frames import Call, Frame
from local.live_workers import MAX_WORKERS, WorkerConnection, WorkerGone
from local.process import children_of, cores
from tests.integration.test_live import assert_same, begin, blocks_of, residual, stream, two_microphones
from tests.processes import PATIENCE_S, Platform, until

TAPS = 64
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the platform filters blocks itself")
pytestmark = LINUX


@pytest.fixture
def platform(start: Callable[..., Platform]) -> Platform:
    return start(EMERGENCY_DETECTION_ENABLED="false")


def ended(pid: int) -> bool:
    """Return whether a process has ended, including zombies."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_there_is_a_worker_for_each_core(platform: Platform) -> None:
    assert len(children_of(platform.process.pid)) == min(len(cores()), MAX_WORKERS)


@pytest.mark.parametrize("survivors", [0, 1])
def test_a_session_survives_the_death_of_its_worker(platform: Platform, survivors: int) -> None:
    pcm = two_microphones(2)
    blocks = blocks_of(pcm)
    with platform.connect("ann") as socket:
        session = begin(socket, taps=TAPS)
        received = stream(socket, session, blocks[:9])
        workers = children_of(platform.process.pid)
        killed = workers[: len(workers) - survivors]
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        until(lambda: all(map(ended, killed)))
        rest = stream(socket, session, blocks[9:], first=9)
    assert_same(np.concatenate([received, rest]), residual(pcm, TAPS))
    assert platform.request("GET", "/health")[1]["status"] == "ok"


class FakeWorker:
    """A worker that ends with the first call, or answers it."""

    def __init__(self, name: str, ends: bool) -> None:
        self.name, self.ends, self.alive = name, ends, True
        self.pid = self.sockets = 0

    async def answer(self, call: Call) -> str:
        if self.ends:
            self.alive = False
            raise WorkerGone(self.pid)
        return self.name


def first_answer(*workers: FakeWorker) -> str | None:
    block = Call("c", 0.0, {"user": "ann"}, Frame("audio", "s", 0, 0.0, "{}"))
    return asyncio.run(WorkerConnection(workers).answer(block))  # type: ignore[arg-type]


def test_a_block_whose_worker_ends_is_sent_to_another_one() -> None:
    assert first_answer(FakeWorker("first", True), FakeWorker("second", False)) == "second"
    assert first_answer(FakeWorker("only", True)) is None


def test_a_block_ends_at_most_two_workers() -> None:
    third = FakeWorker("third", False)
    with pytest.raises(WorkerGone):
        first_answer(FakeWorker("first", True), FakeWorker("second", True), third)
    assert third.alive


def test_metrics_include_the_counts_of_workers(platform: Platform) -> None:
    with platform.connect("ann") as socket:
        stream(socket, begin(socket, taps=TAPS), blocks_of(two_microphones(0.5)))

    admin = Issuer(platform.data, Settings()).issue("root", "admin")

    def exposed() -> str:
        headers = {"Authorization": f"Bearer {admin}"}
        request = urllib.request.Request(f"http://127.0.0.1:{platform.port}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    until(lambda: "anc_blocks_filtered_total 5.0" in exposed())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_the_platform(platform: Platform, number: signal.Signals) -> None:
    with platform.connect("ann") as socket:
        stream(socket, begin(socket, taps=TAPS), blocks_of(two_microphones(0.5)))
        workers = children_of(platform.process.pid)
        platform.process.send_signal(number)
        until(lambda: all(map(ended, workers)))
