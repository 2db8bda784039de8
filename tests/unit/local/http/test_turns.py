"""The fair semaphore."""

import asyncio

from local.http.turns import FairSemaphore


async def serve(turns: FairSemaphore, caller: str, served: list[str]) -> None:
    await turns.take(caller)
    served.append(caller)


async def let_go_on() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_caller_with_one_request_waits_for_one_of_each_other_caller() -> None:
    async def run() -> list[str]:
        turns, served = FairSemaphore(1), list[str]()
        tasks = [asyncio.create_task(serve(turns, "flooder", served)) for _ in range(5)]
        await let_go_on()
        tasks.append(asyncio.create_task(serve(turns, "ann", served)))
        for _ in tasks:
            await let_go_on()
            turns.give()
        await asyncio.gather(*tasks)
        return served

    assert asyncio.run(run()) == ["flooder", "flooder", "ann", "flooder", "flooder", "flooder"]


def test_at_most_all_slots_are_taken_and_returned_ones_are_free_again() -> None:
    async def run() -> None:
        turns, served = FairSemaphore(2), list[str]()
        tasks = [asyncio.create_task(serve(turns, "ann", served)) for _ in range(3)]
        await let_go_on()
        assert len(served) == 2
        turns.give()
        await let_go_on()
        assert len(served) == 3
        turns.give()
        turns.give()
        await asyncio.gather(*tasks, *(serve(turns, "bob", served) for _ in range(2)))

    asyncio.run(run())


def test_a_cancelled_turn_goes_to_the_next_caller() -> None:
    async def run() -> list[str]:
        turns, served = FairSemaphore(1), list[str]()
        await turns.take("first")
        gone = asyncio.create_task(serve(turns, "gone", served))
        late = asyncio.create_task(serve(turns, "late", served))
        next_one = asyncio.create_task(serve(turns, "next", served))
        await let_go_on()
        gone.cancel()
        turns.give()  # to `late`, which is cancelled before it resumes
        late.cancel()
        await let_go_on()
        await next_one
        return served

    assert asyncio.run(run()) == ["next"]
