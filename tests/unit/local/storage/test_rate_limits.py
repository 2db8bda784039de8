"""Rate limits of the single-machine platform: many handler threads ask at once, and nothing else may run."""

import threading

import pytest

from local.storage.rate_limits import MemoryLimits


def test_counting_a_call_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer that two handler threads start at once fails the request of one of them."""

    def start(self: threading.Thread) -> None:
        raise AssertionError(f"{self.name} was started")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert [MemoryLimits().wait_s("GET /api/sessions", "user ann", 1) for _ in range(2)] == [0, 0]


def test_windows_that_have_ended_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    limits = MemoryLimits()
    for number in range(100):
        now[0] += 1
        limits.wait_s("GET /api/sessions", f"user {number}", 10)
    assert len(limits._windows) == 60
