"""The MQTT broker of the local platform: mutual TLS, sessions, topic rules, shadows, topics per headset."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from aws_lambda_powertools import Logger

from anc.schemas.claim import CLAIMING
from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from anc.settings import Settings
from functions import headset_rights
from functions.routes import RULES
from local import public_address
from local.auth.certificates import Authority
from local.http.connection_limits import mqtt_connections_allowed
from local.mqtt import admission, packets
from local.mqtt import claims as claiming
from local.mqtt.admission import ConnectRefused
from local.mqtt.broker_events import BrokerEvents
from local.mqtt.claims import ClaimProvisioning
from local.mqtt.jobs import LocalJobs, jobs_prefix
from local.mqtt.message_rates import MessageRates
from local.mqtt.mqtt_connection import ConnectionBroken, MqttConnection, PacketTooLarge
from local.mqtt.properties import SUBSCRIPTION_ID
from local.mqtt.sessions import DelayedWill, Session, Sessions
from local.mqtt.shadows import LocalShadows, shadow_prefix
from local.mqtt.things import LocalThings
from local.mqtt.topic_rules import DocumentQueue, TopicRules

logger = Logger(service="broker")
HANDSHAKE_S = 30.0
ACCEPT_RETRY_S = 0.1
BACKLOG = 128
CONNECT_COST = 5  # in messages, because of the TLS handshake
DEFAULTS = Settings()
INVALID_FILTER = 0x8F  # reason code of MQTT 5
MAX_TOPIC_SHOWN = 100  # characters
WORKERS = 4  # threads for disk access, which would block the event loop


class Broker:
    """An MQTT 3.1.1 and MQTT 5 broker that stands in for AWS IoT Core.

    A client is identified by its TLS certificate before its first packet. Its client id must be the thing
    that the certificate belongs to, and it may only use the topics of that thing. With a claim it may
    only request its own certificate (`claims`).

    Parameters
    ----------
    port : int
        0 selects a free port; `port` holds it after `start`.
    authority : Authority
    things : LocalThings
    shadows : LocalShadows
    jobs : LocalJobs
        Both publish through this broker.
    queues : mapping of str to DocumentQueue
        Targets of the rules of `functions.routes`.
    claims : ClaimProvisioning
        Handles the requests of clients with a claim certificate.
    count : callable
        `count(name)`: `mqtt_refused_connection`, `mqtt_refused_tls`, `mqtt_refused_client`,
        `mqtt_refused_message`, `mqtt_refused_subscription`, `mqtt_not_kept`, `mqtt_not_delivered`,
        `mqtt_throttled`, `shadow_rejected`, `job_rejected`, `mqtt_connected`.
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
        jobs: LocalJobs,
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
        self._jobs = jobs
        self._rules = TopicRules(RULES, queues)
        self._events = BrokerEvents(self._rules.take)
        self._claims = claims
        self._count = count
        self._sessions = Sessions()
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
        self._shadows.publish = self._jobs.publish = self.publish
        self._things.on_revoked(self._revoked)
        self._things.on_removed(self._shadows.delete)
        self._things.on_removed(self._jobs.remove)
        self._accepting = self._loop.create_task(self._accept())

    async def stop(self) -> None:
        """Close all connections; clients send unacknowledged messages again later."""
        self._accepting.cancel()
        for connection in self._sessions.connections():
            connection.abort()
        await asyncio.gather(self._accepting, *self._tasks, return_exceptions=True)
        self._sessions.end()
        self._listener.close()
        self._workers.shutdown()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message to the headset that owns the topic, if it has subscribed. Thread-safe."""
        if topic.endswith("/rejected"):
            self._workers.submit(self._rules.take, topic, payload)
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._deliver, topic, payload)

    def _deliver(self, topic: str, payload: bytes) -> None:
        self._deliver_to(thing_of(topic), topic, payload)

    def _deliver_to(self, client_id: str, topic: str, payload: bytes) -> None:
        session = self._sessions.get(client_id)
        if session and not session.deliver(topic, payload):
            self._count("mqtt_not_delivered")

    def _revoked(self, thing: str) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end_session, thing)

    def _end_session(self, thing: str) -> None:
        session = self._sessions.get(thing)
        if session and session.connection:
            session.connection.end("API_INITIATED_DISCONNECT", packets.ADMINISTRATIVE)
        self._sessions.forget(thing)

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
            with suppress(OSError):  # some systems refuse it once the client has disconnected
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
                await self._handle_packets(connection)
        except ConnectionBroken:
            pass
        except PacketTooLarge:
            limit = f"a payload must have at most {MQTT_PAYLOAD_LIMIT:,} bytes"
            self._refuse(connection, "CLIENT_ERROR", packets.PACKET_TOO_LARGE, limit)
        except packets.Malformed as fault:
            self._refuse(connection, "CLIENT_ERROR", fault.code, str(fault))
        finally:
            self._sessions.close(connection.thing, connection)
            connection.end()
            if connected:
                self._leave_will(connection)
                self._publish_presence(connection, "disconnected")

    def _refuse(self, connection: MqttConnection, reason: str, code: int, explanation: str) -> None:
        """End a connection, and tell the client (in MQTT 5), the log and the owner why."""
        self._count("mqtt_refused_message")
        logger.info("%s: %s", connection.thing, explanation)
        connection.end(reason, code, explanation)

    def _leave_will(self, connection: MqttConnection) -> None:
        """Publish the will of a connection that has ended, or delay it while its session continues."""
        will, connection.will = connection.will, None
        if will is None:
            return
        message = packets.Publish(will.topic, will.payload)
        publish = partial(self._workers.submit, self._store_message, connection, message)
        session = self._sessions.get(connection.thing)
        if will.delay_s and session and session.connection is None:
            delay_s = min(will.delay_s, session.expiry_s)
            timer = self._loop.call_later(delay_s, session.stop_delayed_will, True)
            session.delayed_will = DelayedWill(timer, publish)
        else:
            publish()

    def _publish_presence(self, connection: MqttConnection, event: str, client_id: str = "") -> None:
        """Publish the presence event of AWS IoT, with an explanation of errors, to the rules only."""
        client_id = client_id or connection.thing
        details = {
            "clientId": client_id,
            "timestamp": int(time.time() * 1000),
            "eventType": event,
            "sessionIdentifier": connection.session,
            "principalIdentifier": connection.certificate_id,
        }
        if event == "disconnected":
            details["disconnectReason"] = connection.disconnect_reason
        if event == "connect_failed":
            details["connectFailureReason"] = connection.disconnect_reason
        if connection.explanation:
            details["explanation"] = connection.explanation
        topic = f"$aws/events/presence/{event}/{client_id}"
        self._workers.submit(self._events.publish, topic, json.dumps(details).encode())

    async def _connect(self, connection: MqttConnection) -> bool:
        connect = await connection.receive()
        if not isinstance(connect, packets.Connect):
            raise packets.Malformed("the first packet must be CONNECT", packets.PROTOCOL_ERROR)
        owner = self._things.owner(connection.certificate_id)
        if not await self._rates.admit(owner or "", CONNECT_COST if owner else 0):
            self._count("mqtt_throttled")
            return False
        try:
            admission.check(connect, owner)
        except ConnectRefused as refused:
            self._count("mqtt_refused_client")
            logger.info("%s: %s", owner, refused.explanation)
            connection.disconnect_reason = "AUTHORIZATION_FAILED"
            connection.explanation = refused.explanation
            if owner and owner != CLAIMING:
                self._publish_presence(connection, "connect_failed", owner)
            answer = packets.connack(connect.level, refused.code, reason=refused.explanation)
            await connection.send_and_close(answer)
            return False
        if self._things.owner(connection.certificate_id) != owner:
            raise ConnectionBroken  # the certificate was revoked meanwhile
        self._open_session(connection, connect, owner == CLAIMING)
        self._count("mqtt_connected")
        return True

    def _open_session(self, connection: MqttConnection, connect: packets.Connect, claiming: bool) -> None:
        known = self._sessions.get(connect.client_id)
        if known and known.connection:  # as in AWS IoT, a new connection of a thing replaces the old one
            will = known.connection.will
            if will and will.delay_s and not connect.clean:
                known.connection.will = None
            known.connection.end("DUPLICATE_CLIENTID", packets.TAKEN_OVER)
        if known:
            known.stop_delayed_will(ended=connect.clean)
        admission.accept(connection, connect)
        connection.claiming = claiming
        expiry_s = 0 if claiming else admission.session_expiry_s(connect)
        session, present = self._sessions.open(connect.client_id, connect.clean, expiry_s)
        connection.send(admission.accepted(connect, present, session.expiry_s))
        self._publish_presence(connection, "connected")
        session.resume(connection)

    async def _handle_packets(self, connection: MqttConnection) -> None:
        while not isinstance(packet := await connection.receive(), packets.Disconnect):
            size = len(packet.payload) if isinstance(packet, packets.Publish) else 0
            cost = 0 if isinstance(packet, packets.Puback) else 1
            if not await self._rates.admit(connection.thing, cost, size):
                self._count("mqtt_throttled")
                connection.end("THROTTLED", packets.QUOTA_EXCEEDED, "the message rate is too high")
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
        self._sessions.change_expiry(connection, packet)
        if packet.code != packets.WITH_WILL:
            connection.will = None
        connection.disconnect_reason = "CLIENT_INITIATED_DISCONNECT"
        connection.abort()

    def _handle_control_packet(self, connection: MqttConnection, packet: packets.Packet) -> None:
        session = self._sessions.get(connection.thing)
        if session is None or session.connection is not connection:
            raise ConnectionBroken
        match packet:
            case packets.Subscribe():
                connection.send(self._subscribe(connection, session, packet))
            case packets.Unsubscribe(packet_id, filters):
                found = [session.filters.pop(topic_filter, None) is not None for topic_filter in filters]
                codes = [packets.SUCCESS if each else packets.NO_SUBSCRIPTION for each in found]
                connection.send(packets.unsuback(connection.level, packet_id, codes))
            case packets.Pingreq():
                connection.send(packets.pingresp())
            case packets.Puback(packet_id):
                session.acknowledge(packet_id)
            case _:
                raise packets.Malformed("CONNECT was sent twice", packets.PROTOCOL_ERROR)

    async def _handle_message(self, connection: MqttConnection, message: packets.Publish) -> bool:
        """Handle a message before it is acknowledged. False ends the connection, as in AWS IoT."""
        thing = connection.thing
        message = message._replace(topic=connection.topic_of(message))
        connection.requests += 1
        if connection.claiming:
            allowed = claiming.may_publish(message.topic) and connection.requests <= claiming.MAX_REQUESTS
        else:
            allowed = headset_rights.may_publish(thing, message.topic)
        if len(message.payload) > MQTT_PAYLOAD_LIMIT:
            raise PacketTooLarge
        if not allowed:
            explanation = f"the headset may not publish on {message.topic[:MAX_TOPIC_SHOWN]}"
            self._refuse(connection, "AUTH_ERROR", packets.NOT_AUTHORIZED, explanation)
            return False
        try:
            await self._loop.run_in_executor(self._workers, self._store_message, connection, message)
        except Exception:
            # Not acknowledged, so the headset sends it again after it has reconnected.
            self._count("mqtt_not_kept")
            logger.exception("a message of %s on %s could not be stored", thing, message.topic)
            connection.end("SERVER_ERROR")
            return False
        return True

    def _store_message(self, connection: MqttConnection, message: packets.Publish) -> None:
        if self._things.owner(connection.certificate_id) is None:
            return  # revoked meanwhile; the name may belong to another headset already
        if connection.claiming:
            response = self._claims.handle(
                connection.thing, connection.certificate_id, message.topic, message.payload
            )
            self._loop.call_soon_threadsafe(self._deliver_to, connection.thing, *response)
            return
        thing, topic = connection.thing, message.topic
        shadow, jobs = shadow_prefix(thing), jobs_prefix(thing)
        if topic.startswith(shadow):
            if not self._shadows.request(thing, topic.removeprefix(shadow), message.payload):
                self._count("shadow_rejected")
        elif topic.startswith(jobs):
            if not self._jobs.request(thing, topic.removeprefix(jobs), message.payload):
                self._count("job_rejected")
        else:
            self._rules.take(topic, message.payload)

    def _subscribe(self, connection: MqttConnection, session: Session, packet: packets.Subscribe) -> bytes:
        if SUBSCRIPTION_ID in packet.properties:
            codes = [packets.SUBSCRIPTION_IDS_NOT_SUPPORTED] * len(packet.filters)
            return packets.suback(connection.level, packet.packet_id, codes)
        codes, refused = [], ""
        for topic_filter, qos in packet.filters:
            code = self._grant(connection, session, topic_filter, min(qos, 1))
            if code >= packets.UNSPECIFIED:
                self._count("mqtt_refused_subscription")
                refused = f"the headset may not subscribe to {topic_filter[:MAX_TOPIC_SHOWN]}"
                logger.info("%s: %s", connection.thing, refused)
            codes.append(code)
        if refused and not connection.claiming:
            connection.explanation = refused
            self._publish_presence(connection, "subscription_refused")
            connection.explanation = ""
        answer = packets.suback(connection.level, packet.packet_id, codes, refused)
        if connection.wants_reasons and connection.fits(answer):
            return answer
        return packets.suback(connection.level, packet.packet_id, codes)

    def _grant(self, connection: MqttConnection, session: Session, topic_filter: str, qos: int) -> int:
        """Return the granted QoS, or a reason code."""
        if not packets.valid_filter(topic_filter):
            return INVALID_FILTER
        if not (
            claiming.may_subscribe(topic_filter)
            if connection.claiming
            else headset_rights.may_subscribe(connection.thing, topic_filter)
        ):
            return packets.NOT_AUTHORIZED
        return qos if session.subscribe(topic_filter, qos) else packets.QUOTA_EXCEEDED


def thing_of(topic: str) -> str:
    """Return the thing that a topic belongs to."""
    return topic.split("/")[2 if topic.startswith("$") else 1]
