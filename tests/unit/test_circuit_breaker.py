"""The circuit breaker: closed, open, half open, from one thread and from many."""

import threading

import pytest

from anc.circuit_breaker import CircuitBreaker, CircuitOpen
from tests.fakes import Clock
from tests.processes import PATIENCE_S


class Callee:
    """What is called: fails as long as it is told to."""

    def __init__(self) -> None:
        self.failing = False
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failing:
            raise OSError("away")
        return "here"


@pytest.fixture
def callee() -> Callee:
    return Callee()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=3, open_s=30, clock=clock)


def fail(breaker: CircuitBreaker, callee: Callee, times: int) -> None:
    callee.failing = True
    for _ in range(times):
        with pytest.raises(OSError, match="away"):
            breaker.call(callee)
    callee.failing = False


def test_a_closed_breaker_calls_and_passes_on_what_is_returned_and_raised(breaker, callee) -> None:
    assert breaker.call(callee) == "here"
    fail(breaker, callee, 1)
    assert callee.calls == 2


def test_it_opens_after_failures_in_a_row_and_then_calls_nobody(breaker, callee) -> None:
    fail(breaker, callee, 3)
    with pytest.raises(CircuitOpen):
        breaker.call(callee)
    assert callee.calls == 3


def test_a_success_between_failures_starts_the_count_anew(breaker, callee) -> None:
    for _ in range(4):
        fail(breaker, callee, 2)
        assert breaker.call(callee) == "here"


def test_it_rests_for_as_long_as_was_said_and_no_longer(breaker, callee, clock: Clock) -> None:
    fail(breaker, callee, 3)
    clock.now += 29.9
    with pytest.raises(CircuitOpen):
        breaker.call(callee)
    clock.now += 0.1
    assert breaker.call(callee) == "here"
    assert breaker.call(callee) == "here"


def test_a_probe_that_fails_opens_it_again_at_once(breaker, callee, clock: Clock) -> None:
    fail(breaker, callee, 3)
    clock.now += 30
    fail(breaker, callee, 1)
    clock.now += 29.9
    with pytest.raises(CircuitOpen):
        breaker.call(callee)
    assert callee.calls == 4


def test_of_many_callers_at_the_same_time_one_probes_and_the_others_go_on_resting(
    breaker, callee, clock: Clock
) -> None:
    fail(breaker, callee, 3)
    clock.now += 30
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        inside.set()
        assert go_on.wait(PATIENCE_S)
        return "here"

    heard: list[str] = []
    probe = threading.Thread(target=lambda: heard.append(breaker.call(slow)))
    probe.start()
    assert inside.wait(PATIENCE_S)
    for _ in range(5):
        with pytest.raises(CircuitOpen):
            breaker.call(callee)
    go_on.set()
    probe.join(PATIENCE_S)
    assert heard == ["here"]
    assert breaker.call(callee) == "here", "the probe's success closed it"


def test_calls_that_succeed_do_not_wait_for_each_other(breaker) -> None:
    both = threading.Barrier(2)
    threads = [threading.Thread(target=breaker.call, args=(lambda: both.wait(PATIENCE_S),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not both.broken
