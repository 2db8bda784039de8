"""Events of the broker are stored in order, however long the disk is full."""

import threading

from local.mqtt.broker_events import BrokerEvents
from tests.processes import PATIENCE_S


def test_events_that_cannot_be_stored_are_stored_later_in_order() -> None:
    stored, failures, done = [], iter([OSError("disk full")] * 3), threading.Event()

    def take(topic: str, payload: bytes) -> None:
        for fault in failures:
            raise fault
        stored.append(topic)
        if len(stored) == 3:
            done.set()

    events = BrokerEvents(take, retry_s=0.01)
    for topic in ("connected", "disconnected", "connected again"):
        events.publish(topic, b"{}")
    assert done.wait(PATIENCE_S)
    assert stored == ["connected", "disconnected", "connected again"]
