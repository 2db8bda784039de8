"""A headset's line as the smoke test uses it: it publishes, and waits for what its shadow wants of it."""

import json
import queue
import time
from typing import Any, Protocol, Self

import boto3

from anc.ports import Credentials
from anc.schemas.refusal import parse_json
from anc.schemas.shadow import SHADOW, Desired, parse_desired
from iot.mqtt_transport import MqttTransport
from iot.shadow import Delta

CONNECT_S = 180.0


class Headset(Protocol):
    """What is published leaves at once; a wish comes once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message."""

    def wish(self, patience_s: float) -> Desired:
        """Return the next change that is wanted. Raises TimeoutError."""


class OverMqtt:
    """MQTT with the headset's own certificate."""

    def __init__(self, thing: str, credentials: Credentials) -> None:
        self._line = MqttTransport(thing, credentials, lambda: None)
        self._deltas: queue.Queue[bytes] = queue.Queue()
        self._line.subscribe(f"$aws/things/{thing}/shadow/name/{SHADOW}/update/delta", self._deltas.put)

    def __enter__(self) -> Self:
        self._line.start()
        if not self._line.online.wait(CONNECT_S):
            raise TimeoutError(f"waited {CONNECT_S:g} s for the headset to connect over MQTT")
        return self

    def __exit__(self, *_: object) -> None:
        self._line.stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Headset.publish`."""
        if not self._line.publish(topic, payload):
            raise ConnectionError("the headset is offline")

    def wish(self, patience_s: float) -> Desired:
        """See `Headset.wish`."""
        try:
            delta = self._deltas.get(timeout=patience_s)
        except queue.Empty:
            raise TimeoutError(f"waited {patience_s:g} s for a delta of the shadow") from None
        return parse_desired(bytes(parse_json(delta, Delta).state))


class OverHttps:
    """AWS IoT's HTTPS endpoint, where a platform has no MQTT that this machine can reach."""

    def __init__(self, thing: str) -> None:
        self._thing = thing
        self._client = boto3.client("iot-data")
        self._version = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Headset.publish`."""
        self._client.publish(topic=topic, qos=1, payload=payload)

    def wish(self, patience_s: float) -> Desired:
        """See `Headset.wish`."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            document = self._document()
            if document and document["version"] > self._version:
                self._version = document["version"]
                return parse_desired(json.dumps(document["state"]["delta"]).encode())
            time.sleep(0.2)  # over HTTPS a shadow is asked, it does not tell
        raise TimeoutError(f"waited {patience_s:g} s for a delta of the shadow")

    def _document(self) -> dict[str, Any] | None:
        try:
            answer = self._client.get_thing_shadow(thingName=self._thing, shadowName=SHADOW)
        except self._client.exceptions.ResourceNotFoundException:
            return None
        document: dict[str, Any] = json.loads(answer["payload"].read())
        return document
