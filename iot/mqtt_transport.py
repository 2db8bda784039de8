"""The headset's connection to AWS IoT Core, or to another broker with mutual TLS."""

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from awscrt import mqtt
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt_connection_builder

from anc.ports import Credentials

logger = logging.getLogger(__name__)
KEEP_ALIVE_S = 30
PING_TIMEOUT_MS = 15_000
# Ranges of random delays, so that a fleet does not reconnect all at once after a broker outage.
INITIAL_RETRY_S = (1, 10)
MAX_RETRY_S = (60, 120)


class MqttTransport:
    """Connect, and reconnect after failures, until stopped. No method waits for the network.

    Parameters
    ----------
    thing : str
        Name of the headset, used as MQTT client id.
    credentials : Credentials
    when_online : callable
        Called after each connect, in a thread of the client library, when all subscriptions are active and
        before `online` is set. It may publish.
    """

    def __init__(self, thing: str, credentials: Credentials, when_online: Callable[[], None]) -> None:
        self.online = threading.Event()
        self._ready = False
        self._when_online = when_online
        self._handlers: dict[str, Callable[[bytes], None]] = {}
        self._stopping = threading.Event()
        self._client = mqtt_connection_builder.mtls_from_bytes(
            cert_bytes=credentials.certificate.encode(),
            pri_key_bytes=credentials.private_key.encode(),
            ca_bytes=credentials.ca.encode(),
            endpoint=credentials.endpoint,
            port=credentials.port,
            client_id=thing,
            clean_session=False,  # unacknowledged messages are sent again
            keep_alive_secs=KEEP_ALIVE_S,
            ping_timeout_ms=PING_TIMEOUT_MS,
            reconnect_min_timeout_secs=random.randint(*INITIAL_RETRY_S),  # noqa: S311
            reconnect_max_timeout_secs=random.randint(*MAX_RETRY_S),  # noqa: S311
            on_connection_interrupted=self._interrupted,
            on_connection_resumed=self._resumed,
        )

    def subscribe(self, topic: str, handler: Callable[[bytes], None]) -> None:
        """Register `handler(payload)` for the messages of a topic. Call it before `start`."""
        self._handlers[topic] = handler

    def start(self) -> None:
        """Connect in the background."""
        threading.Thread(target=self._connect, name="headset-connect", daemon=True).start()

    def stop(self) -> None:
        """Disconnect; returns at once."""
        self._stopping.set()
        self._ready = False
        self.online.clear()
        with suppress(RuntimeError):  # raised when it was never connected
            self._client.disconnect()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Publish at least once; return False when offline, without queueing the message."""
        if not self._ready:
            return False
        with suppress(AwsCrtError, RuntimeError):
            self._client.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)
            return True
        return False

    def _connect(self) -> None:
        # The library reconnects after an interruption, but does not retry a failed first attempt.
        delay_s = float(random.randint(*INITIAL_RETRY_S))  # noqa: S311
        while not self._stopping.is_set():
            try:
                self._client.connect().result()
            except AwsCrtError as fault:
                logger.warning("cannot connect: %s", fault.name)
                self._stopping.wait(delay_s * random.uniform(0.5, 1.0))  # noqa: S311
                delay_s = min(2 * delay_s, MAX_RETRY_S[0])
            else:
                self._subscribe()
                return

    def _interrupted(self, error: AwsCrtError, **_: Any) -> None:
        self._ready = False
        self.online.clear()
        logger.warning("connection lost: %s", error.name)

    def _resumed(self, **_: Any) -> None:
        self._subscribe()

    def _subscribe(self) -> None:
        pending = set(self._handlers)

        def subscribed(topic: str, done: "Future[Any]") -> None:
            if done.cancelled() or done.exception():
                logger.warning("cannot subscribe to %s", topic)
                return
            pending.discard(topic)
            if not pending and not self._stopping.is_set():
                self._ready = True
                self._when_online()
                self.online.set()

        for topic, handler in self._handlers.items():
            done, _ = self._client.subscribe(topic, mqtt.QoS.AT_LEAST_ONCE, _callback(handler))
            done.add_done_callback(lambda done, topic=topic: subscribed(topic, done))


def _callback(handler: Callable[[bytes], None]) -> Callable[..., None]:
    return lambda topic, payload, **_: handler(payload)
