"""A circuit breaker: after repeated failures, calls are rejected for a while, then tried once."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FAILURES = 3  # in a row, after which the circuit opens
OPEN_S = 30.0  # for which it stays open


class CircuitOpen(Exception):
    """The circuit is open: nothing was called."""


class CircuitBreaker:
    """Calls functions that may fail. Thread-safe.

    Closed, every call goes through. After some failures in a row it opens, and calls raise `CircuitOpen`
    at once. After `rest_s` it is half open: one call goes through as a probe, all others are rejected. The
    probe closes it by success and opens it again by failure.

    Parameters
    ----------
    failures : int
        In a row, after which it opens.
    rest_s : float
        For which it stays open.
    clock : callable
        Seconds, never going back.

    References
    ----------
    Nygard, Release It!, 2nd ed., section 5.2
    """

    def __init__(
        self, failures: int = FAILURES, rest_s: float = OPEN_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = failures
        self._rest_s = rest_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0  # in a row
        self._rests_until = 0.0
        self._probing = False

    def call(self, do: Callable[[], T]) -> T:
        """Return what `do()` returns; an exception counts as a failure. Raises CircuitOpen."""
        self._admit()
        try:
            result = do()
        except BaseException:
            self._note(failed=True)
            raise
        self._note(failed=False)
        return result

    def _admit(self) -> None:
        with self._lock:
            if self._failed < self._most:
                return
            if self._probing or self._clock() < self._rests_until:
                raise CircuitOpen
            self._probing = True

    def _note(self, failed: bool) -> None:
        with self._lock:
            self._probing = False
            self._failed = self._failed + 1 if failed else 0
            if self._failed >= self._most:
                self._rests_until = self._clock() + self._rest_s
