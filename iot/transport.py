"""What a headset needs of its way to the cloud; `iot.mqtt_transport` is the real one."""

import threading
from collections.abc import Callable
from typing import Protocol


class Transport(Protocol):
    """The way to the cloud; `Connection` is one."""

    @property
    def online(self) -> threading.Event:
        """Set while what is published arrives."""

    def on(self, topic: str, heard: Callable[[bytes], None]) -> None:
        """Have `heard(payload)` called for each message on a topic; before `start`."""

    def start(self) -> None:
        """Begin to connect, in the background."""

    def stop(self) -> None:
        """Disconnect."""

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send at least once; False when offline."""
