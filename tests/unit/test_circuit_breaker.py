"""The circuit breaker: closed, open, half open, from one thread and from many."""

import threading

import pytest

from anc.circuit_breaker import CircuitBreaker, CircuitOpen
from tests.fakes import Clock
from tests.processes import PATIENCE_S


class Callee:
    """A function that counts its calls and raises while `failing` is set."""

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


def test_a_closed_circuit_passes_results_and_exceptions_through(breaker, callee) -> None:
    assert breaker.call(callee) == "here"
    fail(breaker, callee, 1)
    assert callee.calls == 2


def test_the_circuit_opens_after_consecutive_failures(breaker, callee) -> None:
    fail(breaker, callee, 3)
    with pytest.raises(CircuitOpen):
        breaker.call(callee)
    assert callee.calls == 3


def test_a_success_resets_the_failure_count(breaker, callee) -> None:
    for _ in range(4):
        fail(breaker, callee, 2)
        assert breaker.call(callee) == "here"


def test_an_open_circuit_allows_a_call_after_its_open_time(breaker, callee, clock: Clock) -> None:
    fail(breaker, callee, 3)
    clock.now += 29.9
    with pytest.raises(CircuitOpen):
        breaker.call(callee)
    clock.now += 0.1
    assert breaker.call(callee) == "here"
    assert breaker.call(callee) == "here"


def test_a_failed_probe_opens_the_circuit_again(breaker, callee, clock: Clock) -> None:
    fail(breaker, callee, 3)
    clock.now += 30
    fail(breaker, callee, 1)
    clock.now += 29.9
    with pytest.raises(CircuitOpen):
        breaker.call(callee)
    assert callee.calls == 4


def test_only_one_of_many_concurrent_callers_probes(breaker, callee, clock: Clock) -> None:
    fail(breaker, callee, 3)
    clock.now += 30
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        inside.set()
        assert go_on.wait(PATIENCE_S)
        return "here"

    results: list[str] = []
    probe = threading.Thread(target=lambda: results.append(breaker.call(slow)))
    probe.start()
    assert inside.wait(PATIENCE_S)
    for _ in range(5):
        with pytest.raises(CircuitOpen):
            breaker.call(callee)
    go_on.set()
    probe.join(PATIENCE_S)
    assert results == ["here"]
    assert breaker.call(callee) == "here", "a successful probe closes the circuit"


def test_successful_calls_run_concurrently(breaker) -> None:
    both = threading.Barrier(2)
    threads = [threading.Thread(target=breaker.call, args=(lambda: both.wait(PATIENCE_S),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not both.broken
