"""Events of the broker, such as presence: kept in order until the queue of their rule has stored them."""

import threading
from collections import deque
from collections.abc import Callable

from aws_lambda_powertools import Logger

RETRY_S = 2.0
MAX_WAITING = 10_000  # the oldest are dropped

logger = Logger(service="broker")


class BrokerEvents:
    """Publishes events to the rules, and again while they cannot be stored.

    A headset repeats a message that is not acknowledged. Nobody repeats an event of the broker itself, and
    without it a headset would be shown as connected until it connects again.
    """

    def __init__(self, take: Callable[[str, bytes], None], retry_s: float = RETRY_S) -> None:
        self._take = take
        self._retry_s = retry_s
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MAX_WAITING)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish an event after those that are waiting. Never raises."""
        self._waiting.append((topic, payload))
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            while self._waiting:
                try:
                    self._take(*self._waiting[0])
                except Exception:
                    logger.exception("an event could not be stored", topic=self._waiting[0][0])
                    retry = threading.Timer(self._retry_s, self._flush)
                    retry.daemon = True
                    retry.start()
                    return
                self._waiting.popleft()
