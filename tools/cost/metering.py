"""Count what AWS would bill for the messages of a simulated headset.

Increments are those of the AWS price pages: `prices.toml` names them.
"""

from collections import defaultdict
from collections.abc import Mapping
from math import ceil
from typing import Any

import msgspec

from anc.records import Record

KB = 1024
ITEM_BYTES = 60  # names of the attributes of a stored item, version and expiry
INDEX_BYTES = 100  # of an index entry: it repeats the keys
METADATA_SHARE = 1.0  # a shadow's metadata, relative to its state: a time stamp for each field
QUEUE_OVERHEAD_BYTES = 150  # of the JSON around a payload
SHADOW_TOPIC = "/shadow/"
INGEST = "$aws/rules/"  # Basic Ingest: no charge for the message itself


class Meter:
    """Billed units by name."""

    def __init__(self) -> None:
        self.units: defaultdict[str, float] = defaultdict(float)

    def add(self, unit: str, amount: float = 1) -> None:
        """Add to a unit."""
        self.units[unit] += amount

    def record(self, name: str, amount: float, unit: str) -> None:
        """Add to a part of a unit, and to the unit."""
        self.add(name, amount)
        self.add(unit, amount)

    def uplink(self, topic: str, payload: bytes) -> None:
        """Count a message of the headset, and what it triggers up to the queue."""
        size = len(payload) + len(topic)
        if not topic.startswith(INGEST):
            self.add("iot_message", increments(size, 5 * KB))
        if topic.endswith("/snapshot"):
            self.add("snapshots")
            self.add("snapshot_bytes", len(payload))
            self._rule("snapshots", size, len(payload))
        elif SHADOW_TOPIC not in topic:
            self.add("reports")
            self._rule("reports", size, len(payload))

    def downlink(self, topic: str, payload: bytes) -> None:
        """Count a message to the headset and its acknowledgement."""
        size = len(topic) + len(payload) * (1 + METADATA_SHARE)
        self.add("iot_message", increments(size, 5 * KB) + 1)
        self.add("transfer_bytes", size)

    def shadow(self, document: Mapping[str, Any] | None) -> None:
        """Count an operation on a shadow, by the size of its document."""
        size = len(msgspec.json.encode(document["state"])) if document else 1
        self.add("shadow_operation", increments(size, KB))

    def queue(self, name: str, body_bytes: int) -> None:
        """Count a queue message: sent and received in units of 64 KB, deleted with its batch."""
        self.add("sqs_request", 2 * increments(body_bytes, 64 * KB))
        self.add(f"{name}_messages")

    def _rule(self, queue: str, size: int, payload: int) -> None:
        self.add("iot_rule", increments(size, 5 * KB))
        self.add("iot_action", increments(size, 5 * KB))
        self.queue(queue, base64_bytes(payload) + QUEUE_OVERHEAD_BYTES)


def item_bytes(record: Record) -> int:
    """Return the size of a stored record in DynamoDB."""
    keys = 2 * len(record.key) + 2 * len(record.group)  # in attributes of their own, and in the body
    return len(msgspec.msgpack.encode(record)) + keys + ITEM_BYTES


def base64_bytes(size: int) -> int:
    """Return the size of bytes in base64."""
    return 4 * ceil(size / 3)


def increments(size: float, unit: int) -> int:
    """Return the number of billed increments, at least one."""
    return max(ceil(size / unit), 1)
