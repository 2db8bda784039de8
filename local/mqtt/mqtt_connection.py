"""One MQTT connection of the broker: reads and writes whole packets."""

import asyncio
import hashlib
import ssl
from contextlib import suppress
from uuid import uuid4

from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from local.mqtt import packets

# Topic length and topic, packet identifier, payload.
MAX_PACKET_BYTES = MQTT_PAYLOAD_LIMIT + 2 + 256 + 2
CONNECT_TIMEOUT_S = 30.0
MAX_UNSENT_BYTES = 1024 * 1024
MAX_FILTERS = 50  # per connection, as in AWS IoT
KEEP_ALIVE_FACTOR = 1.5  # intervals without a packet before a client is disconnected (section 3.1.2.10)


class ConnectionBroken(Exception):
    """Raised when the connection has ended."""


class PacketTooLarge(Exception):
    """Raised when a packet exceeds `MAX_PACKET_BYTES`."""


class MqttConnection:
    """A TLS connection with a verified client certificate.

    Attributes
    ----------
    thing : str
        Client id; empty until CONNECT was accepted.
    claiming : bool
        Whether the client uses a claim certificate.
    certificate_id : str
        The certificate's SHA-256 fingerprint.
    session : str
        Unique id of the connection.
    disconnect_reason : str
        Reason for the end of the connection, as named by AWS IoT.
    requests : int
        Number of messages received.
    filters : dict of str to int
        Granted QoS by topic filter.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True)
        assert certificate  # the TLS context requires one
        self.thing = ""
        self.claiming = False
        self.certificate_id = hashlib.sha256(certificate).hexdigest()
        self.session = uuid4().hex
        self.disconnect_reason = "CONNECTION_LOST"
        self.requests = 0
        self.filters: dict[str, int] = {}
        self._reader = reader
        self._writer = writer
        self._timeout_s: float | None = CONNECT_TIMEOUT_S
        self._last_id = 0

    @property
    def closed(self) -> bool:
        """Whether the connection was closed; received packets may still be buffered."""
        return self._writer.is_closing()

    def keep_alive(self, interval_s: int) -> None:
        """Require a packet every `interval_s` seconds; 0 turns the check off."""
        self._timeout_s = KEEP_ALIVE_FACTOR * interval_s or None

    async def receive(self) -> packets.Packet:
        """Return the next packet. Raises ConnectionBroken, PacketTooLarge or packets.Malformed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                first = (await self._reader.readexactly(1))[0]
                return packets.parse(first, await self._reader.readexactly(await self._length()))
        except (OSError, EOFError, TimeoutError) as fault:
            raise ConnectionBroken from fault

    async def _length(self) -> int:
        length = 0
        for i in range(packets.MAX_LENGTH_BYTES):
            digit = (await self._reader.readexactly(1))[0]
            length |= (digit & 0x7F) << 7 * i
            if length > MAX_PACKET_BYTES:
                raise PacketTooLarge
            if digit < 0x80:
                return length
        raise packets.Malformed("the remaining length must have at most four bytes")

    def send(self, packet: bytes) -> None:
        """Send a packet; abort the connection when too many bytes are unsent."""
        if self._writer.is_closing():
            return
        self._writer.write(packet)
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.abort()

    async def send_and_close(self, packet: bytes) -> None:
        """Send a last packet and close."""
        self._writer.write(packet)
        with suppress(OSError):
            await self._writer.drain()
            self._writer.close()
            await self._writer.wait_closed()

    def subscribe(self, topic_filter: str, qos: int) -> bool:
        """Add a topic filter; return False when there are too many."""
        if topic_filter not in self.filters and len(self.filters) == MAX_FILTERS:
            return False
        self.filters[topic_filter] = qos
        return True

    def deliver(self, topic: str, payload: bytes) -> None:
        """Send a message if subscribed, at the highest granted QoS of the matching filters."""
        granted = [qos for topic_filter, qos in self.filters.items() if packets.matches(topic_filter, topic)]
        if not granted:
            return
        if max(granted):
            self._last_id = self._last_id % 0xFFFF + 1
        self.send(packets.publish(topic, payload, self._last_id if max(granted) else 0))

    def abort(self, reason: str = "") -> None:
        """Close the connection at once; unsent packets are dropped."""
        self.disconnect_reason = reason or self.disconnect_reason
        self._writer.transport.abort()
