"""One MQTT connection of the broker: reads and writes whole packets."""

import asyncio
import hashlib
import ssl
from contextlib import suppress
from uuid import uuid4

from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from local.mqtt import packets
from local.mqtt.properties import TOPIC_ALIAS

# Topic length and topic, packet identifier, payload.
MAX_PACKET_BYTES = MQTT_PAYLOAD_LIMIT + 2 + 256 + 2
CONNECT_TIMEOUT_S = 30.0
MAX_UNSENT_BYTES = 1024 * 1024
CLOSE_S = 5.0
MAX_ALIASES = 8  # as in AWS IoT
TOPIC_ALIAS_INVALID = 0x94
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
    explanation : str
        What the client did wrong, for its owner; "" when nothing.
    requests : int
        Number of messages received.
    level : int
        Protocol level: 4 for MQTT 3.1.1, 5 for MQTT 5.
    receive_maximum, maximum_packet_size : int
        Limits of an MQTT 5 client.
    wants_reasons : bool
        Whether an MQTT 5 client wants reason strings in every packet that can have one.
    will : Will or None
        To be published when the connection ends without DISCONNECT.
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
        self.explanation = ""
        self.requests = 0
        self.level = packets.V311
        self.receive_maximum = 0xFFFF
        self.maximum_packet_size = MAX_PACKET_BYTES
        self.wants_reasons = True
        self.will: packets.Will | None = None
        self._aliases: dict[int, str] = {}
        self._reader = reader
        self._writer = writer
        self._timeout_s: float | None = CONNECT_TIMEOUT_S

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
                return packets.parse(first, await self._reader.readexactly(await self._length()), self.level)
        except TimeoutError as fault:
            self.disconnect_reason = "MQTT_KEEP_ALIVE_TIMEOUT" if self.thing else self.disconnect_reason
            self.end(code=packets.KEEP_ALIVE_TIMEOUT)
            raise ConnectionBroken from fault
        except (OSError, EOFError) as fault:
            raise ConnectionBroken from fault

    def topic_of(self, message: packets.Publish) -> str:
        """Return the topic of a message, which may be an alias. Raises packets.Malformed."""
        alias = message.properties.get(TOPIC_ALIAS)
        if alias is None:
            return message.topic
        if not 1 <= alias <= MAX_ALIASES:
            raise packets.Malformed(f"a topic alias must be 1 to {MAX_ALIASES}", TOPIC_ALIAS_INVALID)
        if message.topic:
            self._aliases[alias] = message.topic
        elif alias not in self._aliases:
            raise packets.Malformed(f"the topic alias {alias} has no topic yet", packets.PROTOCOL_ERROR)
        return self._aliases[alias]

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

    def fits(self, packet: bytes) -> bool:
        """Return whether the client accepts a packet of this size."""
        return len(packet) <= self.maximum_packet_size

    async def send_and_close(self, packet: bytes) -> None:
        """Send a last packet and close."""
        self._writer.write(packet)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()

    def end(self, reason: str = "", code: int = packets.UNSPECIFIED, explanation: str = "") -> None:
        """Close the connection. An MQTT 5 client first gets a DISCONNECT with the code and explanation."""
        self.disconnect_reason = reason or self.disconnect_reason
        self.explanation = explanation or self.explanation
        if self.closed:
            return
        if self.level < packets.V5 or not self.thing:
            return self.abort()
        packet = packets.disconnect(code, explanation)
        self._writer.write(packet if self.fits(packet) else packets.disconnect(code))
        self._writer.close()
        asyncio.get_running_loop().call_later(CLOSE_S, self.abort)

    def abort(self) -> None:
        """Close the connection at once; unsent packets are dropped."""
        self._writer.transport.abort()
