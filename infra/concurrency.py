"""Concurrent executions: how many each function reserves, and how many batches of a queue run at a time.

A message whose invocation is throttled counts as received. So a function reserves what its queues use at
most, and is never throttled. A new account has 10 concurrent executions and cannot reserve any: there each
queue uses the fewest that AWS accepts, and messages are received more often before they are dead letters.

References
----------
AWS Lambda Developer Guide, "Configuring scaling behavior for SQS event source mappings" and "Configuring
reserved concurrency for a function".
"""

from functions.routes import QUEUES, QueueRoute

NEW_ACCOUNT = 10  # quota of a new account
UNRESERVED = 100  # AWS keeps as many for functions without a reservation
MIN_OF_QUEUE = 2  # of one event source
THROTTLED_RECEIVES = 10  # without reservations
LIVE = 100  # concurrent blocks: 2,000 frames per second at 50 ms each
REST_CLASSIFICATIONS = 20  # of the function that also answers requests


def can_reserve(quota: int) -> bool:
    """Return whether an account with this quota of concurrent executions has enough for all reservations."""
    return quota >= UNRESERVED + sum(_reservations().values())


def reservation(function: str, quota: int) -> int | None:
    """Return the reserved concurrency of a function, which is also its maximum; None for none."""
    return _reservations().get(function) if can_reserve(quota) else None


def of_queue(route: QueueRoute, quota: int) -> int:
    """Return how many batches of a queue are processed at the same time."""
    return route.max_concurrency if can_reserve(quota) else MIN_OF_QUEUE


def max_receives(route: QueueRoute, quota: int) -> int:
    """Return after how many deliveries a message of a queue becomes a dead letter."""
    return route.max_receives if can_reserve(quota) else max(route.max_receives, THROTTLED_RECEIVES)


def _reservations() -> dict[str, int]:
    reserved = {"audio_receiver": LIVE, "classifier": REST_CLASSIFICATIONS}
    for route in QUEUES:
        reserved[route.function] = reserved.get(route.function, 0) + route.max_concurrency
    return reserved
