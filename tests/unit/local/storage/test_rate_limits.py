"""Rate limits of the local platform."""

import threading

import pytest

from anc.memory_limits import MemoryLimits


def test_a_check_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer thread started by two handler threads at once would fail one of their requests."""

    def start(self: threading.Thread) -> None:
        raise AssertionError(f"{self.name} was started")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert [MemoryLimits().wait_s("GET /api/sessions", "user ann", 1) for _ in range(2)] == [0, 0]


def test_expired_windows_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    limits = MemoryLimits()
    for number in range(100):
        now[0] += 1
        limits.wait_s("GET /api/sessions", f"user {number}", 10)
    assert len(limits._windows) == 60
