"""Fair thread pools: order of turns, and limits on waiting calls."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from anc.schemas.refusal import Refused
from local.http.thread_pools import FairThreadPool
from tests.processes import PATIENCE_S


class Work:
    """Calls that record their names; the first one blocks until it is released."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.started, self.release = threading.Event(), threading.Event()

    def hold(self) -> None:
        self.started.set()
        self.release.wait(PATIENCE_S)

    def __call__(self, name: str) -> str:
        self.done.append(name)
        return name


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.release.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0)


def waiting(pool: FairThreadPool) -> int:
    return pool._turns.waiting()


async def queue_calls(pool: FairThreadPool, work: Work, *calls: tuple[str, str]) -> list[asyncio.Task[str]]:
    """Queue calls one after the other."""
    tasks = []
    for caller, name in calls:
        before = waiting(pool)
        tasks.append(asyncio.create_task(pool.run(caller, work, name)))
        await until(lambda before=before: waiting(pool) == before + 1)  # type: ignore[misc]
    return tasks


def test_callers_take_turns_regardless_of_their_number_of_calls(work: Work) -> None:
    async def run() -> None:
        pool = FairThreadPool("test", threads=1, waiting=100)
        first = asyncio.create_task(pool.run("ann", work.hold))
        await until(work.started.is_set)
        calls = [("ann", f"ann-{i}") for i in range(4)]
        tasks = await queue_calls(pool, work, *calls, ("bob", "bob-0"), ("bob", "bob-1"), ("cid", "cid-0"))
        work.release.set()
        assert await asyncio.gather(first, *tasks)

    asyncio.run(run())
    assert work.done == ["ann-0", "bob-0", "cid-0", "ann-1", "bob-1", "ann-2", "ann-3"]


def test_only_the_caller_with_too_many_waiting_calls_is_refused(work: Work) -> None:
    async def run() -> tuple[Refused, Refused]:
        pool = FairThreadPool("test", threads=1, waiting=8)
        first = asyncio.create_task(pool.run("ann", work.hold))
        await until(work.started.is_set)
        tasks = await queue_calls(pool, work, *[("ann", "a"), ("ann", "b")])
        with pytest.raises(Refused) as own:
            await pool.run("ann", work, "c")
        tasks += await queue_calls(pool, work, *[(caller, "x") for caller in "bcd" for _ in range(2)])
        with pytest.raises(Refused) as full:
            await pool.run("eve", work, "y")
        work.release.set()
        await asyncio.gather(first, *tasks)
        assert await pool.run("ann", work, "later") == "later"
        return own.value, full.value

    own, full = asyncio.run(run())
    assert (own.code, full.code) == ("too_many", "overloaded")
    assert own.wait_s
    assert full.wait_s


def test_a_call_cancelled_while_waiting_does_not_lose_a_thread(work: Work) -> None:
    async def run() -> str:
        pool = FairThreadPool("test", threads=1, waiting=8)
        first = asyncio.create_task(pool.run("ann", work.hold))
        await until(work.started.is_set)
        (cancelled, remaining) = await queue_calls(pool, work, ("ann", "a"), ("bob", "b"))
        cancelled.cancel()
        work.release.set()
        await asyncio.gather(first, cancelled, return_exceptions=True)
        assert await remaining == "b"
        return await pool.run("ann", work, "later")

    assert asyncio.run(run()) == "later"
    assert "a" not in work.done
