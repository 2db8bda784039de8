"""Concurrent executions: how many each function reserves, and how many batches of a queue run at a time.

A message whose invocation is throttled counts as received. So a function reserves what its queues use at
most, and is never throttled. A new account has 10 concurrent executions and cannot reserve any: there each
queue uses the fewest that AWS accepts, and messages are received more often before they are dead letters.

References
----------
AWS Lambda Developer Guide, "Configuring scaling behavior for SQS event source mappings" and "Configuring
reserved concurrency for a function".
"""

from typing import NamedTuple

from functions.routes import QUEUES, QueueRoute

NEW_ACCOUNT = 10  # quota of a new account
UNRESERVED = 100  # AWS keeps as many for functions without a reservation
MIN_OF_QUEUE = 2  # of one event source
THROTTLED_RECEIVES = 10  # without reservations
LIVE = 100  # concurrent blocks: 2,000 frames per second at 50 ms each
QUEUE = 50  # batches of the busiest queue: 1,000 snapshots per second at 50 ms each
REST_CLASSIFICATIONS = 20  # of the function that also answers requests


class Concurrency(NamedTuple):
    """What an account allows, and what a deployment uses of it.

    Attributes
    ----------
    quota : int
        The account's quota of concurrent executions.
    queue : int
        Batches of the busiest queue at a time; the other queues have their share.
    live : int
        Live blocks at a time.
    """

    quota: int
    queue: int = QUEUE
    live: int = LIVE

    @property
    def can_reserve(self) -> bool:
        """Whether the quota is enough for all reservations."""
        return self.quota >= UNRESERVED + sum(self._reservations().values())

    def reservation(self, function: str) -> int | None:
        """Return the reserved concurrency of a function, which is also its maximum; None for none."""
        return self._reservations().get(function) if self.can_reserve else None

    def of_queue(self, route: QueueRoute) -> int:
        """Return how many batches of a queue are processed at the same time."""
        return self._share(route) if self.can_reserve else MIN_OF_QUEUE

    def max_receives(self, route: QueueRoute) -> int:
        """Return after how many deliveries a message of a queue becomes a dead letter."""
        return route.max_receives if self.can_reserve else max(route.max_receives, THROTTLED_RECEIVES)

    def _share(self, route: QueueRoute) -> int:
        return max(round(route.max_concurrency * self.queue / QUEUE), MIN_OF_QUEUE)

    def _reservations(self) -> dict[str, int]:
        reserved = {"audio_receiver": self.live, "classifier": REST_CLASSIFICATIONS}
        for route in QUEUES:
            reserved[route.function] = reserved.get(route.function, 0) + self._share(route)
        return reserved
