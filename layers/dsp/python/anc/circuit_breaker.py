"""A circuit breaker: after repeated failures, calls are rejected for a while, then tried once."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FAILURE_THRESHOLD = 3  # consecutive failures that open the circuit
OPEN_S = 30.0


class CircuitOpen(Exception):
    """The circuit is open: the function was not called."""


class CircuitBreaker:
    """Call functions that may fail, and stop calling them while they do. Thread-safe.

    Closed: every call goes through. After consecutive failures the circuit opens, and calls raise
    `CircuitOpen` at once. After `open_s` it is half open: one call goes through as a probe, all others are
    rejected. A successful probe closes the circuit; a failed one opens it again.

    Parameters
    ----------
    failure_threshold : int
        Consecutive failures that open the circuit.
    open_s : float
        Seconds before a probe.
    clock : callable
        Returns monotonic seconds.

    References
    ----------
    Nygard, Release It!, 2nd ed., section 5.2
    """

    def __init__(
        self,
        failure_threshold: int = FAILURE_THRESHOLD,
        open_s: float = OPEN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failure_threshold = failure_threshold
        self._open_s = open_s
        self._clock = clock
        self._lock = threading.Lock()
        self._consecutive_failures = 0
        self._open_until = 0.0
        self._probing = False

    def call(self, function: Callable[[], T]) -> T:
        """Return `function()`. Any exception counts as a failure. Raises CircuitOpen."""
        self._admit()
        try:
            result = function()
        except BaseException:
            self._record(failed=True)
            raise
        self._record(failed=False)
        return result

    def _admit(self) -> None:
        with self._lock:
            if self._consecutive_failures < self._failure_threshold:
                return
            if self._probing or self._clock() < self._open_until:
                raise CircuitOpen
            self._probing = True

    def _record(self, failed: bool) -> None:
        with self._lock:
            self._probing = False
            self._consecutive_failures = self._consecutive_failures + 1 if failed else 0
            if self._consecutive_failures >= self._failure_threshold:
                self._open_until = self._clock() + self._open_s
