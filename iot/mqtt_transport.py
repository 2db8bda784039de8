"""The headset's line to AWS IoT Core, or to whatever speaks MQTT 3.1.1 over mutual TLS as it does."""

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
# A fleet that lost its broker must not come back in one wave: each headset draws its own delays.
FIRST_RETRY_S = (1, 10)
LONGEST_RETRY_S = (60, 120)


class MqttTransport:
    """Connects, and connects again, until it is stopped. Nothing here ever waits for the network.

    Parameters
    ----------
    thing : str
        The headset's name, which is its client id.
    credentials : Credentials
    when_online : callable
        Called after each connecting, once every subscription stands and before `online` is set, in a thread
        of the client library. What it publishes goes out.
    """

    def __init__(self, thing: str, credentials: Credentials, when_online: Callable[[], None]) -> None:
        self.online = threading.Event()
        self._stands = False
        self._when_online = when_online
        self._heard: dict[str, Callable[[bytes], None]] = {}
        self._stopping = threading.Event()
        self._client = mqtt_connection_builder.mtls_from_bytes(
            cert_bytes=credentials.certificate.encode(),
            pri_key_bytes=credentials.private_key.encode(),
            ca_bytes=credentials.ca.encode(),
            endpoint=credentials.endpoint,
            port=credentials.port,
            client_id=thing,
            clean_session=False,  # so that what was not acknowledged is sent again
            keep_alive_secs=KEEP_ALIVE_S,
            ping_timeout_ms=PING_TIMEOUT_MS,
            reconnect_min_timeout_secs=random.randint(*FIRST_RETRY_S),  # noqa: S311
            reconnect_max_timeout_secs=random.randint(*LONGEST_RETRY_S),  # noqa: S311
            on_connection_interrupted=self._interrupted,
            on_connection_resumed=self._resumed,
        )

    def on(self, topic: str, heard: Callable[[bytes], None]) -> None:
        """Have `heard(payload)` called for each message on a topic; before `start`."""
        self._heard[topic] = heard

    def start(self) -> None:
        """Begin to connect, in the background."""
        threading.Thread(target=self._connect, name="headset-connect", daemon=True).start()

    def stop(self) -> None:
        """Disconnect; returns at once."""
        self._stopping.set()
        self._stands = False
        self.online.clear()
        with suppress(RuntimeError):  # it never was connected
            self._client.disconnect()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send at least once; False when offline, for what is worth sending only while it is new."""
        if not self._stands:
            return False
        with suppress(AwsCrtError, RuntimeError):
            self._client.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)
            return True
        return False

    def _connect(self) -> None:
        # The library comes back by itself after an interruption, but gives up when the first attempt fails.
        delay_s = float(random.randint(*FIRST_RETRY_S))  # noqa: S311
        while not self._stopping.is_set():
            try:
                self._client.connect().result()
            except AwsCrtError as fault:
                logger.warning("cannot connect: %s", fault.name)
                self._stopping.wait(delay_s * random.uniform(0.5, 1.0))  # noqa: S311
                delay_s = min(2 * delay_s, LONGEST_RETRY_S[0])
            else:
                self._subscribe()
                return

    def _interrupted(self, error: AwsCrtError, **_: Any) -> None:
        self._stands = False
        self.online.clear()
        logger.warning("offline: %s", error.name)

    def _resumed(self, **_: Any) -> None:
        self._subscribe()

    def _subscribe(self) -> None:
        left = set(self._heard)

        def subscribed(topic: str, done: "Future[Any]") -> None:
            if done.cancelled() or done.exception():
                logger.warning("no subscription to %s", topic)
                return
            left.discard(topic)
            if not left and not self._stopping.is_set():
                self._stands = True
                self._when_online()
                self.online.set()

        for topic, heard in self._heard.items():
            done, _ = self._client.subscribe(topic, mqtt.QoS.AT_LEAST_ONCE, _handing(heard))
            done.add_done_callback(lambda done, topic=topic: subscribed(topic, done))


def _handing(heard: Callable[[bytes], None]) -> Callable[..., None]:
    return lambda topic, payload, **_: heard(payload)
