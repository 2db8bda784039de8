"""One headset's connection to the broker: whole packets in and out."""

import asyncio
import hashlib
import ssl
from contextlib import suppress
from uuid import uuid4

from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from local.mqtt import packets

# A packet is a topic, a packet identifier and a payload.
PACKET_LIMIT = MQTT_PAYLOAD_LIMIT + 2 + 256 + 2
GREETING_S = 30.0  # in which a client must have introduced itself
UNSENT_LIMIT = 1024 * 1024
MAX_FILTERS = 50  # per connection, as in AWS IoT
GRACE = 1.5  # keep-alive intervals without a packet, after which a client is gone (section 3.1.2.10)


class ConnectionBroken(Exception):
    """The connection has ended."""


class PacketTooLarge(Exception):
    """A packet is longer than any that this platform takes."""


class MqttConnection:
    """A TLS connection whose certificate was checked.

    Attributes
    ----------
    thing : str
        Its client id, once it has introduced itself and was let in.
    claiming : bool
        Whether it came with the factory's claim, and is no thing yet.
    certificate_id : str
        The certificate's SHA-256 fingerprint.
    session : str
        Tells it from the thing's other connections.
    ended : str
        Why the connection ended, as AWS IoT names it.
    requests : int
        Messages that it published so far.
    filters : dict of str to int
        Topic filters subscribed to, and the QoS granted.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True)
        assert certificate  # the context accepts no connection without one
        self.thing = ""
        self.claiming = False
        self.certificate_id = hashlib.sha256(certificate).hexdigest()
        self.session = uuid4().hex
        self.ended = "CONNECTION_LOST"
        self.requests = 0
        self.filters: dict[str, int] = {}
        self._reader = reader
        self._writer = writer
        self._patience_s: float | None = GREETING_S
        self._last_id = 0

    @property
    def closed(self) -> bool:
        """Whether the connection was cut, though packets that came before may be left to read."""
        return self._writer.is_closing()

    def keep_alive(self, interval_s: int) -> None:
        """Expect a packet every `interval_s` seconds; 0: whenever it comes."""
        self._patience_s = GRACE * interval_s or None

    async def receive(self) -> packets.Packet:
        """Return the next packet. Raises Broken, TooLarge, or mqtt.Malformed."""
        try:
            async with asyncio.timeout(self._patience_s):
                first = (await self._reader.readexactly(1))[0]
                return packets.parse(first, await self._reader.readexactly(await self._length()))
        except (OSError, EOFError, TimeoutError) as fault:
            raise ConnectionBroken from fault

    async def _length(self) -> int:
        length = 0
        for i in range(packets.MAX_LENGTH_BYTES):
            digit = (await self._reader.readexactly(1))[0]
            length |= (digit & 0x7F) << 7 * i
            if length > PACKET_LIMIT:
                raise PacketTooLarge
            if digit < 0x80:
                return length
        raise packets.Malformed("a length of more than four bytes")

    def send(self, packet: bytes) -> None:
        """Send a packet, or cut the connection of a client that does not read what it is sent."""
        if self._writer.is_closing():
            return
        self._writer.write(packet)
        if self._writer.transport.get_write_buffer_size() > UNSENT_LIMIT:
            self.cut()

    async def say_goodbye(self, packet: bytes) -> None:
        """Send a last packet and close."""
        self._writer.write(packet)
        with suppress(OSError):
            await self._writer.drain()
            self._writer.close()
            await self._writer.wait_closed()

    def subscribe(self, wanted: str, qos: int) -> bool:
        """Add a topic filter; False when there are too many."""
        if wanted not in self.filters and len(self.filters) == MAX_FILTERS:
            return False
        self.filters[wanted] = qos
        return True

    def deliver(self, topic: str, payload: bytes) -> None:
        """Send a message if it was subscribed to, at the highest QoS of the filters that cover it."""
        granted = [qos for wanted, qos in self.filters.items() if packets.matches(wanted, topic)]
        if not granted:
            return
        if max(granted):
            self._last_id = self._last_id % 0xFFFF + 1
        self.send(packets.publish(topic, payload, self._last_id if max(granted) else 0))

    def cut(self, why: str = "") -> None:
        """End the connection at once, unsent packets included."""
        self.ended = why or self.ended
        self._writer.transport.abort()
