"""The MQTT broker of the single-machine edition: mutual TLS, rules, shadow, each headset its own topics."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from aws_lambda_powertools import Logger

from anc.schemas.claim import CLAIMING, RESPONSE_TOPICS
from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from anc.settings import Settings
from functions.routes import HEADSETS_RULES, RULES
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
ACCEPT_AGAIN_S = 0.1
BACKLOG = 128
CONNECTING_COSTS = 5  # messages: a handshake is more work than one
DEFAULTS = Settings()
WORKERS = 4  # threads that wait for the disk, so that the loop never does


class Broker:
    """An MQTT 3.1.1 broker that stands in for AWS IoT Core.

    A client is known by its certificate before a packet of it is read: its client id must be the thing that
    the certificate belongs to, and it may use topics of that name only. With the factory's claim a client may
    ask for a certificate of its own, and nothing else (`claims`). Sessions end with their connection,
    whatever the client asked for; a headset gets its shadow when it connects.

    Parameters
    ----------
    port : int
        0 takes any free one; `port` tells which after `start`.
    authority : Authority
    things : LocalThings
    shadows : LocalShadows
        Gets this broker as its way to publish.
    queues : mapping of str to DocumentQueue
        That the rules of `functions.routes` feed.
    claims : Claims
        Answers those that come with the factory's claim.
    count : callable
        `count(name)`: `mqtt_refused_connection`, `mqtt_refused_tls`, `mqtt_refused_client`,
        `mqtt_refused_message`, `mqtt_refused_subscription`, `mqtt_not_kept`, `mqtt_throttled`,
        `shadow_rejected`, `mqtt_connected`.
    host : str
        To listen on.
    pace : Pace, optional
        How fast a headset may publish.
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
        pace: MessageRates | None = None,
    ) -> None:
        self.port = port
        self._host = host
        self._pace = pace or MessageRates(DEFAULTS.headset_messages_per_s, DEFAULTS.headset_bytes_per_s)
        self._context = authority.server_context()
        self._things = things
        self._shadows = shadows
        self._rules = TopicRules(RULES, queues)
        self._claims = claims
        self._count = count
        self._links: dict[str, MqttConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="mqtt")

    async def start(self) -> None:
        """Listen. Returns when clients can connect; raises OSError when the port is taken."""
        self._loop = asyncio.get_running_loop()
        self._most = mqtt_connections_allowed()
        listener = socket.create_server((self._host, self.port), backlog=BACKLOG)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._shadows.publish = self.publish
        self._things.when_revoked(self._revoked)
        self._things.when_removed(self._shadows.forget)
        self._accepting = self._loop.create_task(self._accept())

    async def stop(self) -> None:
        """Close every connection; messages that were not acknowledged will come again."""
        self._accepting.cancel()
        for link in list(self._links.values()):
            link.cut()
        await asyncio.gather(self._accepting, *self._tasks, return_exceptions=True)
        self._listener.close()
        self._workers.shutdown()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message, from any thread, to the headset whose topic it is, if it has subscribed."""
        if topic.endswith("/rejected"):
            self._workers.submit(self._rules.take, topic, payload)
        with suppress(RuntimeError):  # the loop has ended: nobody is connected any more
            self._loop.call_soon_threadsafe(self._deliver, topic, payload)

    def _deliver(self, topic: str, payload: bytes) -> None:
        link = self._links.get(owner(topic))
        if link:
            link.deliver(topic, payload)

    def _revoked(self, thing: str) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cut, thing, "API_INITIATED_DISCONNECT")

    def _cut(self, thing: str, why: str) -> None:
        link = self._links.get(thing)
        if link:
            link.cut(why)

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listener)
            except OSError:  # out of file descriptors, or a client that left while it was accepted
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            if len(self._tasks) >= self._most:
                self._count("mqtt_refused_connection")
                connection.close()
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        # The handshake is ours to await, so that a client without a certificate can be counted.
        reader = asyncio.StreamReader(limit=MQTT_PAYLOAD_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, ssl.SSLError, TimeoutError):
            self._count("mqtt_refused_tls")
            connection.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        link = MqttConnection(reader, writer)
        greeted = False
        try:
            if greeted := await self._greet(link):
                self._announce(link, "connected")
                await self._converse(link)
        except ConnectionBroken:
            pass
        except PacketTooLarge:
            link.ended = "CLIENT_ERROR"
            self._count("mqtt_refused_message")
        except packets.Malformed as fault:
            link.ended = "CLIENT_ERROR"
            self._count("mqtt_refused_message")
            logger.info("%s: %s", link.thing, fault)
        finally:
            if self._links.get(link.thing) is link:
                del self._links[link.thing]
            link.cut()
            if greeted:
                self._announce(link, "disconnected")

    def _announce(self, link: MqttConnection, event: str) -> None:
        """Publish what AWS IoT publishes when a client comes or goes; only rules hear it."""
        told = {
            "clientId": link.thing,
            "timestamp": int(time.time() * 1000),
            "eventType": event,
            "sessionIdentifier": link.session,
            "principalIdentifier": link.certificate_id,
        }
        if event == "disconnected":
            told["disconnectReason"] = link.ended
        topic = f"$aws/events/presence/{event}/{link.thing}"
        self._workers.submit(self._rules.take, topic, json.dumps(told).encode())

    async def _greet(self, link: MqttConnection) -> bool:
        hello = await link.receive()
        if not isinstance(hello, packets.Connect):
            raise packets.Malformed("the first packet is not CONNECT")
        code, owner = packets.ACCEPTED, self._things.owner(link.certificate_id)
        if hello.level != 4:
            code = packets.BAD_PROTOCOL
        elif hello.will or owner is None:
            code = packets.NOT_AUTHORISED
        elif not (claiming.may_connect(hello.client_id) if owner == CLAIMING else hello.client_id == owner):
            code = packets.BAD_IDENTIFIER
        if code != packets.ACCEPTED:
            self._count("mqtt_refused_client")
            await link.say_goodbye(packets.connack(code))
            return False
        if not await self._pace.admit(hello.client_id, CONNECTING_COSTS):
            self._count("mqtt_throttled")
            return False
        if self._things.owner(link.certificate_id) != owner:
            raise ConnectionBroken  # it was revoked meanwhile
        link.thing, link.claiming = hello.client_id, owner == CLAIMING
        self._cut(
            link.thing, "DUPLICATE_CLIENTID"
        )  # as in AWS IoT, the newer connection of a thing is the one that counts
        self._links[link.thing] = link
        link.keep_alive(hello.keep_alive_s)
        link.send(packets.connack(packets.ACCEPTED))
        self._count("mqtt_connected")
        return True

    async def _converse(self, link: MqttConnection) -> None:
        while not isinstance(packet := await link.receive(), packets.Disconnect):
            size = len(packet.payload) if isinstance(packet, packets.Publish) else 0
            costs = 0 if isinstance(packet, packets.Puback) else 1
            if not await self._pace.admit(link.thing, costs, size):
                link.ended = "THROTTLED"
                self._count("mqtt_throttled")
                return
            if link.closed:
                raise ConnectionBroken  # what came before the revocation may still wait to be read
            if isinstance(packet, packets.Publish):
                if not await self._take(link, packet):
                    return
                if packet.packet_id:
                    link.send(packets.puback(packet.packet_id))
            else:
                self._attend(link, packet)
        link.ended = "CLIENT_INITIATED_DISCONNECT"

    def _attend(self, link: MqttConnection, packet: packets.Packet) -> None:
        match packet:
            case packets.Subscribe(packet_id, filters):
                link.send(packets.suback(packet_id, [self._subscribe(link, *each) for each in filters]))
            case packets.Unsubscribe(packet_id, filters):
                for wanted in filters:
                    link.filters.pop(wanted, None)
                link.send(packets.unsuback(packet_id))
            case packets.Pingreq():
                link.send(packets.pingresp())
            case packets.Puback():
                pass  # a message is sent once per connection; after a new one the shadow is asked for
            case _:
                raise packets.Malformed("a second CONNECT")

    async def _take(self, link: MqttConnection, message: packets.Publish) -> bool:
        """Handle a message; it is acknowledged afterwards. False ends the connection, as AWS IoT does."""
        thing = link.thing
        link.requests += 1
        if link.claiming:
            may = claiming.may_publish(message.topic) and link.requests <= claiming.MOST_REQUESTS
        else:
            may = may_publish(thing, message.topic)
        if not may or len(message.payload) > MQTT_PAYLOAD_LIMIT:
            link.ended = "CLIENT_ERROR" if may else "AUTH_ERROR"
            self._count("mqtt_refused_message")
            return False
        try:
            await self._loop.run_in_executor(self._workers, self._keep, link, message)
        except Exception:
            # Not acknowledged, so the headset sends it again once it has reconnected.
            link.ended = "SERVER_ERROR"
            self._count("mqtt_not_kept")
            logger.exception("a message of %s on %s was not kept", thing, message.topic)
            return False
        if not message.topic.startswith("$"):
            self._deliver(message.topic, message.payload)
        return True

    def _keep(self, link: MqttConnection, message: packets.Publish) -> None:
        if self._things.owner(link.certificate_id) is None:
            return  # it was revoked just now, and the name may be another's by now
        if link.claiming:
            answer = self._claims.answer(link.thing, link.certificate_id, message.topic, message.payload)
            self._loop.call_soon_threadsafe(link.deliver, *answer)
            return
        thing, prefix = link.thing, shadow_prefix(link.thing)
        if not message.topic.startswith(prefix):
            self._rules.take(message.topic, message.payload)
        elif not self._shadows.request(thing, message.topic.removeprefix(prefix), message.payload):
            self._count("shadow_rejected")

    def _subscribe(self, link: MqttConnection, wanted: str, qos: int) -> int:
        may = wanted in RESPONSE_TOPICS if link.claiming else may_subscribe(link.thing, wanted)
        if not may or not link.subscribe(wanted, min(qos, 1)):
            self._count("mqtt_refused_subscription")
            return packets.SUBSCRIPTION_FAILED
        return min(qos, 1)


def owner(topic: str) -> str:
    """Return the thing whose topic it is; every topic that is delivered has one."""
    return topic.split("/")[2 if topic.startswith("$") else 1]


def may_publish(thing: str, topic: str) -> bool:
    """Return whether a headset may publish there: its own topics, its rules' and its shadow's."""
    return (
        topic.startswith(f"anc/{thing}/")
        or topic in (basic_ingest_topic(rule, thing) for rule in HEADSETS_RULES)
        or topic in (shadow_prefix(thing) + "get", shadow_prefix(thing) + "update")
    )


def may_subscribe(thing: str, wanted: str) -> bool:
    """Return whether a headset may have a topic filter: one that covers nothing but its own topics."""
    return packets.valid_filter(wanted) and wanted.startswith((f"anc/{thing}/", shadow_prefix(thing)))
