"""The MQTT broker of the local platform: mutual TLS, topic rules, shadows, topics per headset."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from aws_lambda_powertools import Logger

from anc.schemas.claim import CLAIMING, response_topics
from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from anc.settings import Settings
from functions.routes import HEADSET_TOPICS, HEADSETS_RULES, RULES
from local import public_address
from local.auth.certificates import Authority
from local.http.connection_limits import mqtt_connections_allowed
from local.mqtt import claims as claiming
from local.mqtt import packets
from local.mqtt.claims import ClaimProvisioning
from local.mqtt.message_rates import MessageRates
from local.mqtt.mqtt_connection import ConnectionBroken, MqttConnection, PacketTooLarge
from local.mqtt.shadows import LocalShadows, shadow_prefix
from local.mqtt.things import LocalThings
from local.mqtt.topic_rules import DocumentQueue, TopicRules, basic_ingest_topic

logger = Logger(service="broker")
HANDSHAKE_S = 30.0
ACCEPT_RETRY_S = 0.1
BACKLOG = 128
CONNECT_COST = 5  # in messages, because of the TLS handshake
DEFAULTS = Settings()
WORKERS = 4  # threads for disk access, which would block the event loop


class Broker:
    """An MQTT 3.1.1 broker that stands in for AWS IoT Core.

    A client is identified by its TLS certificate before its first packet. Its client id must be the thing
    that the certificate belongs to, and it may only use the topics of that thing. With a claim it may
    only request its own certificate (`claims`). Sessions end with their connection, even without the clean
    session flag; a headset fetches its shadow after each connect.

    Parameters
    ----------
    port : int
        0 selects a free port; `port` holds it after `start`.
    authority : Authority
    things : LocalThings
    shadows : LocalShadows
        Publishes through this broker.
    queues : mapping of str to DocumentQueue
        Targets of the rules of `functions.routes`.
    claims : ClaimProvisioning
        Handles the requests of clients with a claim certificate.
    count : callable
        `count(name)`: `mqtt_refused_connection`, `mqtt_refused_tls`, `mqtt_refused_client`,
        `mqtt_refused_message`, `mqtt_refused_subscription`, `mqtt_not_kept`, `mqtt_throttled`,
        `shadow_rejected`, `mqtt_connected`.
    host : str
        Address to listen on.
    rates : MessageRates, optional
        Rate limits per headset.
    """

    def __init__(
        self,
        port: int,
        authority: Authority,
        things: LocalThings,
        shadows: LocalShadows,
        queues: Mapping[str, DocumentQueue],
        claims: ClaimProvisioning,
        count: Callable[[str], None],
        host: str = "127.0.0.1",
        rates: MessageRates | None = None,
    ) -> None:
        self.port = port
        self._host = host
        self._rates = rates or MessageRates(DEFAULTS.headset_messages_per_s, DEFAULTS.headset_bytes_per_s)
        self._context = authority.server_context()
        self._things = things
        self._shadows = shadows
        self._rules = TopicRules(RULES, queues)
        self._claims = claims
        self._count = count
        self._connections: dict[str, MqttConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="mqtt")

    async def start(self) -> None:
        """Listen for clients. Raises OSError when the port is in use."""
        self._loop = asyncio.get_running_loop()
        self._max_connections = mqtt_connections_allowed()
        listener = public_address.listener(self._host, self.port, BACKLOG)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._shadows.publish = self.publish
        self._things.on_revoked(self._revoked)
        self._things.on_removed(self._shadows.delete)
        self._accepting = self._loop.create_task(self._accept())

    async def stop(self) -> None:
        """Close all connections; clients send unacknowledged messages again later."""
        self._accepting.cancel()
        for connection in list(self._connections.values()):
            connection.abort()
        await asyncio.gather(self._accepting, *self._tasks, return_exceptions=True)
        self._listener.close()
        self._workers.shutdown()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message to the headset that owns the topic, if it has subscribed. Thread-safe."""
        if topic.endswith("/rejected"):
            self._workers.submit(self._rules.take, topic, payload)
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._deliver, topic, payload)

    def _deliver(self, topic: str, payload: bytes) -> None:
        connection = self._connections.get(thing_of(topic))
        if connection:
            connection.deliver(topic, payload)

    def _revoked(self, thing: str) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._disconnect, thing, "API_INITIATED_DISCONNECT")

    def _disconnect(self, thing: str, reason: str) -> None:
        connection = self._connections.get(thing)
        if connection:
            connection.abort(reason)

    async def _accept(self) -> None:
        while True:
            try:
                client_socket, _ = await self._loop.sock_accept(self._listener)
            except OSError:  # out of file descriptors, or the client disconnected
                await asyncio.sleep(ACCEPT_RETRY_S)
                continue
            if len(self._tasks) >= self._max_connections:
                self._count("mqtt_refused_connection")
                client_socket.close()
                continue
            client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._serve(client_socket))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client_socket: socket.socket) -> None:
        # The TLS handshake is awaited here, so that failures can be counted.
        reader = asyncio.StreamReader(limit=MQTT_PAYLOAD_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, client_socket, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, ssl.SSLError, TimeoutError):
            self._count("mqtt_refused_tls")
            client_socket.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        connection = MqttConnection(reader, writer)
        connected = False
        try:
            if connected := await self._connect(connection):
                self._publish_presence(connection, "connected")
                await self._handle_packets(connection)
        except ConnectionBroken:
            pass
        except PacketTooLarge:
            connection.disconnect_reason = "CLIENT_ERROR"
            self._count("mqtt_refused_message")
        except packets.Malformed as fault:
            connection.disconnect_reason = "CLIENT_ERROR"
            self._count("mqtt_refused_message")
            logger.info("%s: %s", connection.thing, fault)
        finally:
            if self._connections.get(connection.thing) is connection:
                del self._connections[connection.thing]
            connection.abort()
            if connected:
                self._publish_presence(connection, "disconnected")

    def _publish_presence(self, connection: MqttConnection, event: str) -> None:
        """Publish the presence event of AWS IoT for a connect or disconnect, to the rules only."""
        details = {
            "clientId": connection.thing,
            "timestamp": int(time.time() * 1000),
            "eventType": event,
            "sessionIdentifier": connection.session,
            "principalIdentifier": connection.certificate_id,
        }
        if event == "disconnected":
            details["disconnectReason"] = connection.disconnect_reason
        topic = f"$aws/events/presence/{event}/{connection.thing}"
        self._workers.submit(self._rules.take, topic, json.dumps(details).encode())

    async def _connect(self, connection: MqttConnection) -> bool:
        connect = await connection.receive()
        if not isinstance(connect, packets.Connect):
            raise packets.Malformed("the first packet must be CONNECT")
        code, owner = packets.ACCEPTED, self._things.owner(connection.certificate_id)
        if connect.level != 4:
            code = packets.BAD_PROTOCOL
        elif connect.will or owner is None:
            code = packets.NOT_AUTHORISED
        elif not (
            claiming.may_connect(connect.client_id) if owner == CLAIMING else connect.client_id == owner
        ):
            code = packets.BAD_IDENTIFIER
        if code != packets.ACCEPTED:
            self._count("mqtt_refused_client")
            await connection.send_and_close(packets.connack(code))
            return False
        if not await self._rates.admit(connect.client_id, CONNECT_COST):
            self._count("mqtt_throttled")
            return False
        if self._things.owner(connection.certificate_id) != owner:
            raise ConnectionBroken  # the certificate was revoked meanwhile
        connection.thing, connection.claiming = connect.client_id, owner == CLAIMING
        self._disconnect(
            connection.thing, "DUPLICATE_CLIENTID"
        )  # as in AWS IoT, a new connection of a thing replaces the old one
        self._connections[connection.thing] = connection
        connection.keep_alive(connect.keep_alive_s)
        connection.send(packets.connack(packets.ACCEPTED))
        self._count("mqtt_connected")
        return True

    async def _handle_packets(self, connection: MqttConnection) -> None:
        while not isinstance(packet := await connection.receive(), packets.Disconnect):
            size = len(packet.payload) if isinstance(packet, packets.Publish) else 0
            cost = 0 if isinstance(packet, packets.Puback) else 1
            if not await self._rates.admit(connection.thing, cost, size):
                connection.disconnect_reason = "THROTTLED"
                self._count("mqtt_throttled")
                return
            if connection.closed:
                raise ConnectionBroken  # packets from before a revocation may still be buffered
            if isinstance(packet, packets.Publish):
                if not await self._handle_message(connection, packet):
                    return
                if packet.packet_id:
                    connection.send(packets.puback(packet.packet_id))
            else:
                self._handle_control_packet(connection, packet)
        connection.disconnect_reason = "CLIENT_INITIATED_DISCONNECT"

    def _handle_control_packet(self, connection: MqttConnection, packet: packets.Packet) -> None:
        match packet:
            case packets.Subscribe(packet_id, filters):
                connection.send(
                    packets.suback(packet_id, [self._subscribe(connection, *each) for each in filters])
                )
            case packets.Unsubscribe(packet_id, filters):
                for topic_filter in filters:
                    connection.filters.pop(topic_filter, None)
                connection.send(packets.unsuback(packet_id))
            case packets.Pingreq():
                connection.send(packets.pingresp())
            case packets.Puback():
                pass  # not sent again: the headset fetches its shadow after a reconnect
            case _:
                raise packets.Malformed("CONNECT was sent twice")

    async def _handle_message(self, connection: MqttConnection, message: packets.Publish) -> bool:
        """Handle a message before it is acknowledged. False ends the connection, as in AWS IoT."""
        thing = connection.thing
        connection.requests += 1
        if connection.claiming:
            allowed = claiming.may_publish(message.topic) and connection.requests <= claiming.MAX_REQUESTS
        else:
            allowed = may_publish(thing, message.topic)
        if not allowed or len(message.payload) > MQTT_PAYLOAD_LIMIT:
            connection.disconnect_reason = "CLIENT_ERROR" if allowed else "AUTH_ERROR"
            self._count("mqtt_refused_message")
            return False
        try:
            await self._loop.run_in_executor(self._workers, self._store_message, connection, message)
        except Exception:
            # Not acknowledged, so the headset sends it again after it has reconnected.
            connection.disconnect_reason = "SERVER_ERROR"
            self._count("mqtt_not_kept")
            logger.exception("a message of %s on %s could not be stored", thing, message.topic)
            return False
        if not message.topic.startswith("$"):
            self._deliver(message.topic, message.payload)
        return True

    def _store_message(self, connection: MqttConnection, message: packets.Publish) -> None:
        if self._things.owner(connection.certificate_id) is None:
            return  # revoked meanwhile; the name may belong to another headset already
        if connection.claiming:
            response = self._claims.handle(
                connection.thing, connection.certificate_id, message.topic, message.payload
            )
            self._loop.call_soon_threadsafe(connection.deliver, *response)
            return
        thing, prefix = connection.thing, shadow_prefix(connection.thing)
        if not message.topic.startswith(prefix):
            self._rules.take(message.topic, message.payload)
        elif not self._shadows.request(thing, message.topic.removeprefix(prefix), message.payload):
            self._count("shadow_rejected")

    def _subscribe(self, connection: MqttConnection, topic_filter: str, qos: int) -> int:
        allowed = (
            topic_filter in response_topics()
            if connection.claiming
            else may_subscribe(connection.thing, topic_filter)
        )
        if not allowed or not connection.subscribe(topic_filter, min(qos, 1)):
            self._count("mqtt_refused_subscription")
            return packets.SUBSCRIPTION_FAILED
        return min(qos, 1)


def thing_of(topic: str) -> str:
    """Return the thing that a topic belongs to."""
    return topic.split("/")[2 if topic.startswith("$") else 1]


def may_publish(thing: str, topic: str) -> bool:
    """Return whether a headset may publish on a topic: its own, those of its rules, or its shadow's."""
    return (
        topic in (f"anc/{thing}/{kind}" for kind in HEADSET_TOPICS)
        or topic in (basic_ingest_topic(rule, thing) for rule in HEADSETS_RULES)
        or topic in (shadow_prefix(thing) + "get", shadow_prefix(thing) + "update")
    )


def may_subscribe(thing: str, topic_filter: str) -> bool:
    """Return whether a topic filter covers only topics of the headset."""
    return packets.valid_filter(topic_filter) and topic_filter.startswith(
        (f"anc/{thing}/", shadow_prefix(thing))
    )
