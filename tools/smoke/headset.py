"""Headset connections of the smoke test: publish messages and wait for shadow deltas."""

import json
import queue
import time
from typing import Any, Protocol, Self

import boto3

from anc.ports import Credentials
from anc.schemas.refusal import parse_json
from anc.schemas.shadow import SHADOW, Desired, desired_of
from iot.mqtt_transport import MqttTransport
from iot.shadow import Delta

CONNECT_S = 180.0


class Headset(Protocol):
    """A connected headset. Each shadow delta is returned once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish a message."""

    def next_desired(self, timeout_s: float) -> Desired:
        """Return the next desired state. Raises TimeoutError."""


class MqttHeadset:
    """A headset on MQTT with its own certificate."""

    def __init__(self, thing: str, credentials: Credentials) -> None:
        self._transport = MqttTransport(thing, credentials, lambda: None)
        self._deltas: queue.Queue[bytes] = queue.Queue()
        self._transport.subscribe(f"$aws/things/{thing}/shadow/name/{SHADOW}/update/delta", self._deltas.put)

    def __enter__(self) -> Self:
        self._transport.start()
        if not self._transport.online.wait(CONNECT_S):
            raise TimeoutError(f"no MQTT connection within {CONNECT_S:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Headset.publish`."""
        if not self._transport.publish(topic, payload):
            raise ConnectionError("the headset is offline")

    def next_desired(self, timeout_s: float) -> Desired:
        """See `Headset.next_desired`."""
        try:
            delta = self._deltas.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError(f"no shadow delta within {timeout_s:g} s") from None
        return desired_of(parse_json(delta, Delta).state)


class HttpsHeadset:
    """A headset on AWS IoT's HTTPS endpoint, for networks that block MQTT."""

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

    def next_desired(self, timeout_s: float) -> Desired:
        """See `Headset.next_desired`."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            document = self._document()
            if document and document["version"] > self._version:
                self._version = document["version"]
                return desired_of(document["state"]["delta"])
            time.sleep(0.2)  # HTTPS has no push: poll the shadow
        raise TimeoutError(f"no shadow delta within {timeout_s:g} s")

    def _document(self) -> dict[str, Any] | None:
        try:
            answer = self._client.get_thing_shadow(thingName=self._thing, shadowName=SHADOW)
        except self._client.exceptions.ResourceNotFoundException:
            return None
        document: dict[str, Any] = json.loads(answer["payload"].read())
        return document
