"""Simulate how a fleet reconnects after an outage: arrivals, refusals, retries, cold starts and throttles.

A discrete-event simulation: a heap of events in the order of their time. The same seed gives the same result.
"""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple


class Parameters(NamedTuple):
    """Parameters of the simulation; `docs/scale.md` shows them with their meaning.

    Attributes
    ----------
    headsets : int
        Headsets that reconnect at the same time.
    seed : int
        Random seed.
    first_retry_s : float
        Longest wait before the first attempt and after the first refusal; it doubles.
    longest_retry_s : float
        Longest wait between attempts.
    connects_per_s : float
        CONNECT requests that the account accepts.
    subscriptions_per_s : float
        Subscriptions that the account accepts.
    subscriptions : int
        Subscriptions of a headset.
    shadow_s : float
        Time from the connection to the first snapshot.
    concurrency : int
        Batches of the queue that are processed at the same time, one snapshot each.
    first_pollers : int
        Batches at the same time at first.
    pollers_per_minute : float
        Increase of that number.
    call_s : float
        Time for a snapshot.
    cold_start_s : float
        Additional time of the first call of a container.
    failed : float
        Share of calls that fail, for example by a throttle of a table.
    visibility_s : float
        Time until a failed message is delivered again.
    """

    headsets: int = 1000
    seed: int = 0
    first_retry_s: float = 10.0
    longest_retry_s: float = 120.0
    connects_per_s: float = 500.0
    subscriptions_per_s: float = 500.0
    subscriptions: int = 5
    shadow_s: float = 0.2
    concurrency: int = 50
    first_pollers: int = 5
    pollers_per_minute: float = 300.0
    call_s: float = 0.08
    cold_start_s: float = 1.5
    failed: float = 0.001
    visibility_s: float = 60.0


class Outcome(NamedTuple):
    """Result of a simulation; times in seconds from the end of the outage.

    Attributes
    ----------
    half_s, last_s : float
        When half of the headsets, and the last one, were connected.
    refused : int
        Refused attempts.
    p50_s, p99_s, max_s : float
        Time from a snapshot to the end of its processing.
    cold_starts, retried : int
        Containers started; messages delivered again.
    longest_queue, peak_concurrency : int
    """

    half_s: float
    last_s: float
    refused: int
    p50_s: float
    p99_s: float
    max_s: float
    cold_starts: int
    retried: int
    longest_queue: int
    peak_concurrency: int


class Bucket:
    """A rate limit: tokens per second, with a burst of one second, or of one request if that is more."""

    def __init__(self, per_s: float, per_request: float = 1.0) -> None:
        self._per_s = per_s
        self._burst = self._tokens = max(per_s, per_request)
        self._at = 0.0

    def take(self, now: float, amount: float) -> bool:
        """Take tokens, or return False."""
        self._tokens = min(self._tokens + (now - self._at) * self._per_s, self._burst)
        self._at = now
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True


class Storm:
    """The state of a simulation."""

    def __init__(self, parameters: Parameters) -> None:
        self._p = parameters
        self._rng = random.Random(parameters.seed)  # noqa: S311
        self._connects, self._subscriptions = (
            Bucket(parameters.connects_per_s),
            Bucket(parameters.subscriptions_per_s, parameters.subscriptions),
        )
        self._events: list[tuple[float, int, str, float]] = []  # time, order, kind, and what it is about
        self._order = 0
        self._waiting: deque[float] = deque()  # times at which the snapshots were sent
        self._busy = self._containers = 0
        self.connected: list[float] = []
        self.latencies: list[float] = []
        self.refused = self.retried = self.longest_queue = self.peak = 0

    def run(self) -> Outcome:
        """Run until every snapshot is processed."""
        for _ in range(self._p.headsets):
            self._at(self._rng.uniform(0, self._p.first_retry_s), "connect", self._p.first_retry_s)
        while self._events:
            now, _, kind, about = heapq.heappop(self._events)
            getattr(self, f"_{kind}")(now, about)
        connected, latencies = sorted(self.connected), sorted(self.latencies)
        p50, p99, longest = (round(_quantile(latencies, q), 2) for q in (0.5, 0.99, 1.0))
        return Outcome(
            round(connected[len(connected) // 2], 1),
            round(connected[-1], 1),
            self.refused,
            p50,
            p99,
            longest,
            self._containers,
            self.retried,
            self.longest_queue,
            self.peak,
        )

    def _at(self, when: float, kind: str, about: float) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, kind, about))

    def _connect(self, now: float, wait_s: float) -> None:
        # A refused subscription closes the connection, too.
        accepted = self._connects.take(now, 1) and self._subscriptions.take(now, self._p.subscriptions)
        if accepted:
            self.connected.append(now)
            self._at(now + self._p.shadow_s, "send", now + self._p.shadow_s)
            return
        self.refused += 1
        longer = min(2 * wait_s, self._p.longest_retry_s)
        self._at(now + self._rng.uniform(0.5, 1.0) * longer, "connect", longer)

    def _send(self, now: float, sent: float) -> None:
        self._waiting.append(sent)
        self.longest_queue = max(self.longest_queue, len(self._waiting))
        self._process(now)

    def _finish(self, now: float, sent: float) -> None:
        self._busy -= 1
        if self._rng.random() < self._p.failed:
            self.retried += 1
            self._at(now + self._p.visibility_s, "send", sent)
        else:
            self.latencies.append(now - sent)
        self._process(now)

    def _process(self, now: float) -> None:
        pollers = int(self._p.first_pollers + self._p.pollers_per_minute * now / 60)
        while self._waiting and self._busy < min(pollers, self._p.concurrency):
            self._busy += 1
            self.peak = max(self.peak, self._busy)
            cold = self._busy > self._containers
            self._containers += cold
            seconds = self._p.call_s + cold * self._p.cold_start_s
            self._at(now + seconds, "finish", self._waiting.popleft())


def simulate(parameters: Parameters) -> Outcome:
    """Return how a fleet reconnects after an outage."""
    return Storm(parameters).run()


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]
