"""The platform's services in simulated time, with a meter at tables, shadows, queues and the endpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic

import msgspec

from anc.noise import KINDS, LABELS
from anc.read_cache import ReadCache
from anc.schemas.messages import ControlChanged, Message, ReclassificationRequest
from anc.services.headsets import reclassification, telemetry
from anc.services.sound.endpoint_classifier import EndpointPrediction
from anc.tables import R, Table
from local.mqtt.shadows import LocalShadows
from simulation.network import SimulatedNetwork
from tools.cost.metering import KB, Meter, increments, item_bytes
from tools.evaluation.simulated_platform import SimulatedPlatform

UPDATE_BYTES = 60  # of a queue message that names a headset
SURE = 0.95


class MeteredTable(Generic[R]):
    """A table that counts what is read and written; `new_entries`: every write adds an entry to the index."""

    def __init__(self, name: str, table: Table[R], meter: Meter, new_entries: bool = False) -> None:
        self._name, self._table, self._meter = name, table, meter
        self._index_units = 1 if new_entries else 0

    def get(self, key: str) -> R | None:
        """See `anc.ports.Table`."""
        record = self._table.get(key)
        size = item_bytes(record) if record else 1
        self._meter.record(f"read from {self._name}", increments(size, 4 * KB), "dynamodb_read")
        return record

    def put(self, record: R) -> R:
        """See `anc.ports.Table`."""
        size = item_bytes(record)
        self._meter.record(
            f"written to {self._name}", increments(size, KB) + self._index_units, "dynamodb_write"
        )
        self._meter.add(f"bytes of {self._name}", size)
        return self._table.put(record)

    def list(self, group: str, limit: int = 100, after: str = "", descending: bool = False) -> Sequence[R]:
        """See `anc.ports.Table`. A query of the index, eventually consistent, and a read of each record."""
        records = self._table.list(group, limit, after, descending)
        units = 0.5 + sum(increments(item_bytes(record), 4 * KB) for record in records)
        self._meter.record(f"read from {self._name}", units, "dynamodb_read")
        return records

    def delete(self, key: str, version: int | None = None) -> None:
        """See `anc.ports.Table`. Not counted: no headset deletes a record while it plays."""
        self._table.delete(key, version)


class Lookups(ReadCache):
    """A cache that never holds anything, and counts the lookups of fleet statistics."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(ttl_s=0.0)
        self._meter = meter

    def read(self, kind: str, key: str, get: Callable[[str], Any]) -> Any:
        """See `ReadCache.read`."""
        self._meter.add(f"lookups of {kind}")
        return get(key)


class SureEndpoint:
    """An endpoint that replaces every label by the one of the present noise."""

    configured = True

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.label = LABELS[0]

    def invoke(self, request: bytes) -> bytes:
        """See `anc.ports.Endpoint`."""
        self._meter.add("endpoint_questions")
        rest = (1.0 - SURE) / (len(LABELS) - 1)
        probabilities = {label: SURE if label == self.label else rest for label in LABELS}
        kinds = dict.fromkeys(KINDS, 0.0)
        answer = EndpointPrediction(self.label, SURE, probabilities, "measurement", 64 * "0", kinds=kinds)
        return msgspec.json.encode(answer)


class Requests:
    """The queue of reclassification requests."""

    def __init__(self, meter: Meter) -> None:
        self.waiting: list[ReclassificationRequest] = []
        self._meter = meter

    def send(self, message: Message, delay_s: int = 0) -> None:
        """See `anc.ports.Queue`."""
        assert isinstance(message, ReclassificationRequest)
        self._meter.queue("reclassifications", len(msgspec.json.encode(message)))
        self.waiting.append(message)


class MeteredUpdates:
    """The queue of changed headsets."""

    def __init__(self, things: list[str], meter: Meter) -> None:
        self._things, self._meter = things, meter

    def send(self, message: Message, delay_s: int = 0) -> None:
        """See `anc.ports.Queue`."""
        if isinstance(message, ControlChanged) and not delay_s:
            self._meter.queue("updates", UPDATE_BYTES)
            self._things.append(message.thing)


class MeteredShadows:
    """The shadows, of which the platform updates the desired state."""

    def __init__(self, shadows: LocalShadows, meter: Meter) -> None:
        self._shadows, self._meter = shadows, meter

    def update(self, thing: str, desired: Mapping[str, Any]) -> None:
        """See `anc.ports.Shadows`."""
        self._shadows.update(thing, desired)
        self.count(thing)

    def request(self, thing: str, operation: str, payload: bytes) -> None:
        """Process a request of the headset. One for the whole shadow is counted with the connects."""
        self._shadows.request(thing, operation, payload)
        if operation == "update":
            self._meter.add("shadow_reports")
            self._meter.add("iot_message", increments(len(payload), 5 * KB))
            self.count(thing)

    def count(self, thing: str) -> None:
        """Count an operation on a shadow."""
        document = self._shadows.get(thing)
        assert document is not None
        sides = {name: document["state"].get(name, {}) for name in ("desired", "reported")}
        self._meter.shadow({"state": sides})


class MeteredPlatform(SimulatedPlatform):
    """A simulated platform that counts what AWS would bill for a headset.

    Contributions to the fleet are not counted: a short measurement has too many of them.

    Attributes
    ----------
    meter : Meter
    endpoint : SureEndpoint
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.meter = meter = Meter()
        self.endpoint = SureEndpoint(meter)
        self._requests = Requests(meter)
        self._local_shadows = self._shadows
        self._shadows = MeteredShadows(self._local_shadows, meter)  # type: ignore[arg-type,assignment]
        deps = self.deps
        self.deps = replace(
            deps,
            controls=MeteredTable("controls", deps.controls, meter),
            devices=MeteredTable("devices", deps.devices, meter),
            watches=MeteredTable("watches", deps.watches, meter),
            telemetry=MeteredTable("telemetry", deps.telemetry, meter),
            history=MeteredTable("history", deps.history, meter, new_entries=True),
            shadows=self._shadows,
            updates=MeteredUpdates(self._updates.things, meter),
            reclassifications=self._requests,
            endpoint=self.endpoint,
            fleet_cache=Lookups(meter),
        )

    def connect(self, network: SimulatedNetwork) -> None:
        """Send the shadows' messages over a network."""

        def publish(topic: str, payload: bytes) -> None:
            if topic.endswith("/update/delta"):
                self.meter.downlink(topic, payload)
            network.publish_to_headset(topic, payload)

        self._local_shadows.publish = publish  # type: ignore[attr-defined]

    def receive(self, thing: str, topic: str, payload: bytes) -> None:
        """Process a headset's message as rule, queues and functions do. Raises Refused."""
        if not topic.startswith("$aws/things/"):  # shadow: counted apart; jobs: part of a connect
            self.meter.uplink(topic, payload)
        if topic.endswith("/telemetry"):
            telemetry.store(thing, payload, self.deps.clock(), self.deps)
        else:
            super().receive(thing, topic, payload)
        while self._requests.waiting:
            reclassification.reclassify(self._requests.waiting.pop(0), self.deps)
            self.deliver_updates()
