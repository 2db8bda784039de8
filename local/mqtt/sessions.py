"""MQTT sessions: subscriptions and unacknowledged messages, which may outlive a connection.

References
----------
OASIS, MQTT Version 5.0, section 4.1. AWS IoT Core Developer Guide, "MQTT persistent sessions": messages of
quality of service 1 are stored for an hour, and sent after the next connection.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from local.mqtt import packets
from local.mqtt.mqtt_connection import MqttConnection
from local.mqtt.properties import SESSION_EXPIRY

EXPIRY_S = 3600
MAX_FILTERS = 50  # per connection, as in AWS IoT
MAX_PENDING = 100  # messages, as in AWS IoT
MAX_PENDING_BYTES = 256 * 1024
MAX_SESSIONS = 10_000


class DelayedWill(NamedTuple):
    """A will that is published when its timer fires, or when the session ends before."""

    timer: asyncio.TimerHandle
    publish: Callable[[], object]


class Session:
    """The session of one client.

    Attributes
    ----------
    filters : dict of str to int
        Granted QoS by topic filter.
    connection : MqttConnection or None
        None while the client is disconnected.
    expiry_s : int
        Seconds for which it outlives its connection.
    ends_at : float
        When it expires, while the client is disconnected.
    delayed_will : DelayedWill or None
        Of its last connection.
    """

    def __init__(self) -> None:
        self.filters: dict[str, int] = {}
        self.connection: MqttConnection | None = None
        self.expiry_s = 0
        self.ends_at = 0.0
        self.delayed_will: DelayedWill | None = None
        self._pending: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._pending_bytes = 0
        self._sent: set[int] = set()  # of the pending, on any connection
        self._in_flight: set[int] = set()  # on this connection
        self._last_id = 0

    def resume(self, connection: MqttConnection) -> None:
        """Continue with a new connection: send again what was not acknowledged."""
        self.connection = connection
        self._in_flight.clear()
        self._send_pending()

    def stop_delayed_will(self, ended: bool) -> None:
        """Forget a delayed will; publish it if the session has ended."""
        will, self.delayed_will = self.delayed_will, None
        if will:
            will.timer.cancel()
            if ended:
                will.publish()

    def subscribe(self, topic_filter: str, qos: int) -> bool:
        """Add a topic filter; return False when there are too many."""
        if topic_filter not in self.filters and len(self.filters) == MAX_FILTERS:
            return False
        self.filters[topic_filter] = qos
        return True

    def deliver(self, topic: str, payload: bytes) -> bool:
        """Send or store a message that matches a subscription, at the highest granted QoS.

        Returns
        -------
        bool
            False when the message was dropped, because too many are unacknowledged.
        """
        granted = [qos for topic_filter, qos in self.filters.items() if packets.matches(topic_filter, topic)]
        if not granted:
            return True
        if not max(granted):
            if self.connection:
                self.connection.send(packets.publish(topic, payload, level=self.connection.level))
            return True
        if len(self._pending) >= MAX_PENDING or self._pending_bytes + len(payload) > MAX_PENDING_BYTES:
            return False
        packet_id = self._next_id()
        self._pending[packet_id] = topic, payload
        self._pending_bytes += len(payload)
        self._send_pending()
        return packet_id in self._pending or not self.connection

    def acknowledge(self, packet_id: int) -> None:
        """Forget a message that the client has received, and send the next one."""
        self._discard(packet_id)
        self._send_pending()

    def _send_pending(self) -> None:
        connection = self.connection
        if connection is None:
            return
        for packet_id, (topic, payload) in list(self._pending.items()):
            if len(self._in_flight) >= connection.receive_maximum:
                return
            if packet_id in self._in_flight:
                continue
            again = packet_id in self._sent
            packet = packets.publish(topic, payload, packet_id, connection.level, again)
            if not connection.fits(packet):
                self._discard(packet_id)  # as the standard requires (section 3.1.2.11.4)
                continue
            self._in_flight.add(packet_id)
            self._sent.add(packet_id)
            connection.send(packet)

    def _discard(self, packet_id: int) -> None:
        _, payload = self._pending.pop(packet_id, ("", b""))
        self._pending_bytes -= len(payload)
        self._in_flight.discard(packet_id)
        self._sent.discard(packet_id)

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % 0xFFFF + 1
            if self._last_id not in self._pending:
                return self._last_id


class Sessions:
    """The sessions of all clients, in memory: they end with the broker.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def get(self, client_id: str) -> Session | None:
        """Return the session of a client; None when there is none or it has expired."""
        session = self._sessions.get(client_id)
        if session and session.connection is None and session.ends_at <= self._clock():
            del self._sessions[client_id]
            return None
        return session

    def open(self, client_id: str, clean: bool, expiry_s: int) -> tuple[Session, bool]:
        """Return the session of a client that connects, and whether it existed before."""
        known = None if clean else self.get(client_id)
        session = known or Session()
        session.expiry_s = min(expiry_s, EXPIRY_S)
        self._sessions[client_id] = session
        self._sessions.move_to_end(client_id)
        if len(self._sessions) > MAX_SESSIONS:
            self._drop_oldest()
        return session, known is not None

    def close(self, client_id: str, connection: MqttConnection) -> bool:
        """Record that a connection has ended; return False when another one has replaced it."""
        session = self._sessions.get(client_id)
        if session is None or session.connection is not connection:
            return False
        session.connection = None
        session.ends_at = self._clock() + session.expiry_s
        if not session.expiry_s:
            del self._sessions[client_id]
        return True

    def change_expiry(self, connection: MqttConnection, packet: packets.Disconnect) -> None:
        """Apply the session expiry of a DISCONNECT. Raises packets.Malformed."""
        session, expiry_s = self._sessions.get(connection.thing), packet.properties.get(SESSION_EXPIRY)
        if expiry_s is None or session is None or session.connection is not connection:
            return
        if expiry_s and not session.expiry_s:
            raise packets.Malformed(
                "a session that ends with its connection cannot be kept", packets.PROTOCOL_ERROR
            )
        session.expiry_s = min(expiry_s, EXPIRY_S)

    def forget(self, client_id: str) -> None:
        """Delete a session, for example after the certificate was revoked."""
        self._sessions.pop(client_id, None)

    def end(self) -> None:
        """Delete all sessions. Their delayed wills are published, as at the end of any session."""
        for session in self._sessions.values():
            session.stop_delayed_will(ended=True)
        self._sessions.clear()

    def connections(self) -> list[MqttConnection]:
        """Return all connections."""
        return [session.connection for session in self._sessions.values() if session.connection]

    def _drop_oldest(self) -> None:
        for client_id, session in self._sessions.items():
            if session.connection is None:
                del self._sessions[client_id]
                return
