"""Contract of `anc.ports.Limits`."""

import threading
from typing import Any

import pytest

READ = "GET /api/sessions"
EARLY_IN_A_MINUTE = 1_800_000_005.0


@pytest.fixture(autouse=True)
def _within_one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock, so that no minute ends between two calls of a test."""
    monkeypatch.setattr("time.time", lambda: EARLY_IN_A_MINUTE)


def test_excess_calls_within_a_minute_get_a_retry_time(limits: Any) -> None:
    waits = [limits.wait_s(READ, "user ann", 3) for _ in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert all(1 <= wait <= 60 for wait in waits[3:])


def test_callers_and_endpoints_are_counted_separately(limits: Any) -> None:
    for _ in range(3):
        limits.wait_s(READ, "user ann", 1)
    assert limits.wait_s(READ, "user bob", 1) == 0
    assert limits.wait_s("GET /api/devices", "user ann", 1) == 0


def test_a_call_after_the_retry_time_is_accepted(limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_030.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    assert limits.wait_s(READ, "user ann", 1) == 0
    wait_s = limits.wait_s(READ, "user ann", 1)
    assert wait_s > 0
    now[0] += wait_s
    assert limits.wait_s(READ, "user ann", 1) == 0


def test_calls_of_different_weight_share_one_limit(limits: Any) -> None:
    assert limits.wait_s("sound", "user ann", 100, 60) == 0
    assert limits.wait_s("sound", "user ann", 100, 50) > 0
    assert limits.wait_s("sound", "user ann", 100, 40) == 0, "what was refused took nothing"
    assert limits.wait_s("sound", "user ann", 100) > 0
    assert limits.wait_s("sound", "user bob", 100, 100) == 0


def test_one_call_may_use_the_whole_limit_but_not_more(limits: Any) -> None:
    assert limits.wait_s("sound", "user ann", 100, 101) == 0
    assert limits.wait_s("sound", "user ann", 100, 1) > 0
    assert limits.wait_s("sound", "user bob", 100, 1) == 0
    assert limits.wait_s("sound", "user bob", 100, 101) > 0


def test_concurrent_calls_are_all_counted(limits: Any) -> None:
    waits: list[int] = []

    def call() -> None:
        waits.extend(limits.wait_s(READ, "user ann", 10) for _ in range(5))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits.count(0) == 10
