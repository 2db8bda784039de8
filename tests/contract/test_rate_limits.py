"""How much a caller may ask for in a minute: promises of `anc.ports.Limits` by each adapter."""

import threading
from typing import Any

import pytest

READ = "GET /api/sessions"
EARLY_IN_A_MINUTE = 1_800_000_005.0


@pytest.fixture(autouse=True)
def _within_one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock, so that no minute ends between two calls of a test."""
    monkeypatch.setattr("time.time", lambda: EARLY_IN_A_MINUTE)


def test_a_caller_may_call_so_often_a_minute_and_is_told_when_to_come_again(limits: Any) -> None:
    waits = [limits.wait_s(READ, "user ann", 3) for _ in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert all(1 <= wait <= 60 for wait in waits[3:])


def test_callers_and_endpoints_are_counted_apart(limits: Any) -> None:
    for _ in range(3):
        limits.wait_s(READ, "user ann", 1)
    assert limits.wait_s(READ, "user bob", 1) == 0
    assert limits.wait_s("GET /api/devices", "user ann", 1) == 0


def test_who_waited_as_long_as_told_may_call_again(limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_030.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    assert limits.wait_s(READ, "user ann", 1) == 0
    wait_s = limits.wait_s(READ, "user ann", 1)
    assert wait_s > 0
    now[0] += wait_s
    assert limits.wait_s(READ, "user ann", 1) == 0


def test_a_minute_is_shared_by_calls_of_different_weight(limits: Any) -> None:
    assert limits.wait_s("sound", "user ann", 100, 60) == 0
    assert limits.wait_s("sound", "user ann", 100, 50) > 0
    assert limits.wait_s("sound", "user ann", 100, 40) == 0, "what was refused took nothing"
    assert limits.wait_s("sound", "user ann", 100) > 0
    assert limits.wait_s("sound", "user bob", 100, 100) == 0


def test_one_call_may_take_the_whole_minute_and_no_more_than_that(limits: Any) -> None:
    assert limits.wait_s("sound", "user ann", 100, 101) == 0
    assert limits.wait_s("sound", "user ann", 100, 1) > 0
    assert limits.wait_s("sound", "user bob", 100, 1) == 0
    assert limits.wait_s("sound", "user bob", 100, 101) > 0


def test_calls_at_the_same_time_all_count(limits: Any) -> None:
    waits: list[int] = []

    def call() -> None:
        waits.extend(limits.wait_s(READ, "user ann", 10) for _ in range(5))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits.count(0) == 10
