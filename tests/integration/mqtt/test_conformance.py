"""What MQTT 3.1.1 and 5 require of a broker, with the clients of Eclipse Paho, within a headset's topics."""

import base64
import json
import queue
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from anc.ports import Credentials
from tests.processes import PATIENCE_S

V311, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
DELTA = "$aws/things/{}/shadow/name/anc/update/delta"
NEVER_S = 3_600


class Connected(NamedTuple):
    """What CONNACK says."""

    code: int
    session_present: bool
    properties: Any


class Headset:
    """A connection of a thing with a Paho client; its methods return what the broker answers."""

    def __init__(self, folder: Path, credentials: Credentials, thing: str, version: int = V5) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2, thing, protocol=MQTTProtocolVersion(version))
        self.port, self.version = credentials.port, version
        files = {name: folder / f"{thing}.{name}" for name in ("ca", "certificate", "private_key")}
        for name, file in files.items():
            file.write_text(getattr(credentials, name))
        self.client.tls_set(str(files["ca"]), str(files["certificate"]), str(files["private_key"]))
        self.client.reconnect_delay_set(NEVER_S)
        self.answers: queue.Queue[Any] = queue.Queue()
        self.messages: queue.Queue[MQTTMessage] = queue.Queue()
        self.ended: queue.Queue[int] = queue.Queue()
        put = self.answers.put
        self.client.on_connect = lambda _, __, flags, code, given: put(
            Connected(code.value, flags.session_present, given)
        )
        self.client.on_subscribe = lambda _, __, ___, codes, given: put((codes[0].value, given))
        self.client.on_unsubscribe = lambda _, __, ___, codes, given: put(codes[0].value)
        self.client.on_publish = lambda *_: put("acknowledged")
        self.client.on_message = lambda _, __, message: self.messages.put(message)
        self.client.on_disconnect = lambda _, __, ___, code, ____: self.ended.put(code.value)

    def connect(self, clean: bool = True, **given: int) -> Connected:
        """Connect; `given` are properties of MQTT 5."""
        if self.version == V5:
            packet = properties(PacketTypes.CONNECT, **given)
            self.client.connect("127.0.0.1", self.port, clean_start=clean, properties=packet)
        else:
            self.client._clean_session = clean
            self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        answer: Connected = self.answer()
        return answer

    def answer(self) -> Any:
        return self.answers.get(timeout=PATIENCE_S)

    def message(self) -> MQTTMessage:
        return self.messages.get(timeout=PATIENCE_S)

    def set_will(self, topic: str, payload: bytes, delay_s: int = 0) -> None:
        given = properties(PacketTypes.WILLMESSAGE, WillDelayInterval=delay_s) if self.version == V5 else None
        self.client.will_set(topic, payload, 1, properties=given)

    def subscribe(self, topic: str) -> tuple[int, Any]:
        self.client.subscribe(topic, 1)
        answer: tuple[int, Any] = self.answer()
        return answer

    def disconnect(self, **given: int) -> None:
        self.client.disconnect(properties=properties(PacketTypes.DISCONNECT, **given) if given else None)
        self.ended.get(timeout=PATIENCE_S)
        self.client.loop_stop()

    def lose_connection(self) -> None:
        opened = self.client.socket()
        assert opened
        opened.shutdown(socket.SHUT_RDWR)
        self.ended.get(timeout=PATIENCE_S)
        self.client.loop_stop()


def properties(packet: int, **given: Any) -> Properties:
    """Return the properties of a packet."""
    made = Properties(packet)
    for name, value in given.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def paho(site: Any, tmp_path: Path) -> Iterator[Callable[..., Headset]]:
    """Return what `headsets_of` yields, for the module's site."""
    yield from headsets_of(site, tmp_path)


def headsets_of(site: Any, folder: Path) -> Iterator[Callable[..., Headset]]:
    """Yield `paho(thing)`, which enrols a thing; called again, it is another client of the same thing."""
    known: dict[str, Credentials] = {}
    made: list[Headset] = []

    def start(thing: str, version: int = V5, client_id: str = "") -> Headset:
        if thing not in known:
            known[thing] = site.create(thing)
        made.append(Headset(folder, known[thing], client_id or thing, version))
        return made[-1]

    yield start
    for each in made:
        each.client.on_disconnect = None
        each.client.disconnect()
        each.client.loop_stop()


def wills(site: Any, thing: str) -> Iterator[Any]:
    """Yield the telemetry that the platform gets in the name of a thing."""
    while True:
        report = site.reports.messages.get(timeout=PATIENCE_S)
        if report["thing"] == thing and report["kind"] == "telemetry":
            yield json.loads(base64.b64decode(report["payload"]))


@pytest.mark.parametrize("version", [V311, V5])
def test_a_will_is_published_after_a_lost_connection_only(
    site: Any, paho: Callable[..., Headset], version: int
) -> None:
    thing = f"will-of-{version}"
    for payload, leave in ((b"1", Headset.disconnect), (b"2", Headset.lose_connection)):
        headset = paho(thing, version)
        headset.set_will(f"anc/{thing}/telemetry", payload)
        assert headset.connect().code == 0
        leave(headset)
    assert next(wills(site, thing)) == 2


def test_a_delayed_will_is_published_unless_the_session_continues(
    site: Any, paho: Callable[..., Headset]
) -> None:
    for payload in (b"1", b"2"):  # the second connection cancels the will of the first one
        headset = paho("delayed")
        headset.set_will("anc/delayed/telemetry", payload, delay_s=NEVER_S)
        headset.connect(clean=False, SessionExpiryInterval=60)
        headset.lose_connection()
    paho("delayed").connect(clean=True)  # ends the session, and with it the delay
    assert next(wills(site, "delayed")) == 2


@pytest.mark.parametrize(("delay_s", "expiry_s"), [(NEVER_S, 1), (1, 60)])
def test_a_delayed_will_is_published_after_its_delay_or_with_the_session(
    site: Any, paho: Callable[..., Headset], delay_s: int, expiry_s: int
) -> None:
    thing = f"late-{delay_s}"
    headset = paho(thing)
    headset.set_will(f"anc/{thing}/telemetry", b"1", delay_s)
    headset.connect(SessionExpiryInterval=expiry_s)
    headset.lose_connection()
    assert next(wills(site, thing)) == 1


def test_a_session_is_kept_for_its_expiry_interval(site: Any, paho: Callable[..., Headset]) -> None:
    first = paho("sessions")
    answer = first.connect(clean=False, SessionExpiryInterval=0xFFFFFFFF)
    assert (answer.session_present, answer.properties.SessionExpiryInterval) == (False, 3_600)
    assert first.subscribe(DELTA.format("sessions"))[0] == 1
    first.disconnect()
    site.shadows.update("sessions", {"mode": "bypass"})
    second = paho("sessions")
    assert second.connect(clean=False, SessionExpiryInterval=60).session_present
    assert json.loads(second.message().payload)["state"] == {"mode": "bypass"}
    second.disconnect(SessionExpiryInterval=0)
    third = paho("sessions")
    assert not third.connect(clean=False).session_present, "the last DISCONNECT ended it"
    third.client.disconnect(properties=properties(PacketTypes.DISCONNECT, SessionExpiryInterval=60))
    third.ended.get(timeout=PATIENCE_S)
    assert not paho("sessions").connect(clean=False).session_present, "it ended with its connection"


def test_a_persistent_session_of_mqtt_3_1_1_gets_its_messages_once(
    site: Any, paho: Callable[..., Headset]
) -> None:
    first = paho("older", V311)
    assert not first.connect(clean=False).session_present
    first.subscribe(DELTA.format("older"))
    first.disconnect()
    site.shadows.update("older", {"mode": "bypass"})
    second = paho("older", V311)
    assert second.connect(clean=False).session_present
    assert json.loads(second.message().payload)["state"] == {"mode": "bypass"}
    second.disconnect()
    third = paho("older", V311)
    assert third.connect(clean=False).session_present
    site.shadows.update("older", {"mode": "cancel"})
    assert json.loads(third.message().payload)["state"] == {"mode": "cancel"}


def test_overlapping_subscriptions_get_a_message_once(site: Any, paho: Callable[..., Headset]) -> None:
    headset = paho("overlaps")
    headset.connect()
    for more in ("", "/#"):
        assert headset.subscribe(DELTA.format("overlaps") + more)[0] == 1
    site.shadows.update("overlaps", {"mode": "bypass"})
    site.shadows.update("overlaps", {"mode": "cancel"})
    found = [headset.message() for _ in range(2)]
    assert [json.loads(each.payload)["state"]["mode"] for each in found] == ["bypass", "cancel"]


def test_topic_aliases_stand_for_topics_within_the_announced_maximum(
    site: Any, paho: Callable[..., Headset]
) -> None:
    headset = paho("aliases")
    assert headset.connect().properties.TopicAliasMaximum == 8
    found = wills(site, "aliases")
    for topic, payload in (("anc/aliases/telemetry", b"1"), ("", b"2")):
        alias = properties(PacketTypes.PUBLISH, TopicAlias=8)
        headset.client.publish(topic, payload, 1, properties=alias)
        assert headset.answer() == "acknowledged"
        assert next(found) == int(payload)
    excess = properties(PacketTypes.PUBLISH, TopicAlias=9)
    headset.client.publish("anc/aliases/telemetry", b"3", 1, properties=excess)
    assert headset.ended.get(timeout=PATIENCE_S) == 0x94


def test_no_packet_exceeds_the_maximum_of_the_client(site: Any, paho: Callable[..., Headset]) -> None:
    headset = paho("small")
    headset.connect(MaximumPacketSize=400)
    headset.subscribe(DELTA.format("small"))
    site.shadows.update("small", {"reason": "x" * 200, "mode": "bypass", "noise": {"label": "y" * 200}})
    site.shadows.update("small", {"reason": "short", "noise": {"label": "y"}})
    assert json.loads(headset.message().payload)["state"]["reason"] == "short"


def test_a_client_gets_no_more_unacknowledged_messages_than_it_can_receive(
    site: Any, paho: Callable[..., Headset]
) -> None:
    headset = paho("slow")
    headset.client.manual_ack_set(True)
    headset.connect(ReceiveMaximum=1)
    headset.subscribe(DELTA.format("slow"))
    for mode in ("bypass", "cancel"):
        site.shadows.update("slow", {"mode": mode})
    first = headset.message()
    headset.subscribe("$aws/things/slow/shadow/name/anc/get/accepted")  # answered after anything sent before
    assert headset.messages.empty()
    headset.client.ack(first.mid, first.qos)
    assert json.loads(headset.message().payload)["state"] == {"mode": "cancel"}


@pytest.mark.parametrize("limit", ["ReceiveMaximum", "MaximumPacketSize"])
def test_a_limit_of_zero_is_a_protocol_error(paho: Callable[..., Headset], limit: str) -> None:
    headset = paho("zero")
    packet = properties(PacketTypes.CONNECT, **{limit: 1})
    vars(packet)[limit] = 0  # Paho itself refuses it
    headset.client.connect("127.0.0.1", headset.port, properties=packet)
    headset.client.loop_start()
    assert headset.answer().code == 0x82


@pytest.mark.parametrize(
    ("qos", "retain", "code"), [(2, False, 0x9B), (1, True, 0x9A)], ids=["quality 2", "retained"]
)
def test_what_connack_excludes_ends_the_connection(
    paho: Callable[..., Headset], qos: int, retain: bool, code: int
) -> None:
    headset = paho("excluded")
    answer = headset.connect().properties
    assert (answer.MaximumQoS, answer.RetainAvailable) == (1, 0)
    assert (answer.SharedSubscriptionAvailable, answer.SubscriptionIdentifierAvailable) == (0, 0)
    headset.client._max_qos = 2
    headset.client.publish("anc/excluded/telemetry", b"{}", qos, retain)
    assert headset.ended.get(timeout=PATIENCE_S) == code


def test_reason_codes_tell_what_happened(paho: Callable[..., Headset]) -> None:
    headset = paho("reasons")
    headset.connect()
    own = DELTA.format("reasons")
    for topic, code in ((own, 1), ("#", 0x87), (f"$share/g/{own}", 0x87), ("a/#/b", 0x8F)):
        if topic != "a/#/b":  # which Paho itself refuses
            assert headset.subscribe(topic)[0] == code
    for code in (0, 0x11):
        headset.client.unsubscribe(own)
        assert headset.answer() == code
    assert paho("reasons", client_id="another").connect().code == 0x85
    paho("reasons").connect()
    assert headset.ended.get(timeout=PATIENCE_S) == 0x8E


@pytest.mark.parametrize(("wanted", "explained"), [(1, True), (0, False)])
def test_a_refused_subscription_is_explained_to_clients_that_want_it(
    paho: Callable[..., Headset], wanted: int, explained: bool
) -> None:
    headset = paho("explained")
    headset.connect(RequestProblemInformation=wanted)
    code, given = headset.subscribe("#")
    assert code == 0x87
    assert hasattr(given, "ReasonString") is explained
