"""The interface between the headset and its connection to the cloud."""

import threading
from collections.abc import Callable
from typing import Protocol


class Transport(Protocol):
    """A publish/subscribe connection to the cloud; `iot.mqtt_transport.MqttTransport` implements it."""

    @property
    def online(self) -> threading.Event:
        """Set while the connection is up and all subscriptions are active."""

    def subscribe(self, topic: str, handler: Callable[[bytes], None]) -> None:
        """Register `handler(payload)` for the messages of a topic. Call it before `start`."""

    def start(self) -> None:
        """Connect in the background."""

    def stop(self) -> None:
        """Disconnect."""

    def publish(self, topic: str, payload: bytes) -> bool:
        """Publish at least once; return False when offline."""
