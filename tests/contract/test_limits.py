"""How often a caller may call: promises of `anc.ports.Limits`, of DynamoDB as of one machine."""

import threading
from typing import Any

import pytest

READ = "GET /api/sessions"


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
