"""MQTT sessions: what outlives a connection, in which order and within which limits it is sent."""

from typing import Any

import pytest

from local.mqtt import packets
from local.mqtt.sessions import EXPIRY_S, MAX_PENDING, Session, Sessions


class FakeConnection:
    """A connection that records what is sent."""

    def __init__(self, receive_maximum: int = 0xFFFF, maximum_packet_size: int = 10_000) -> None:
        self.level = packets.V311
        self.receive_maximum = receive_maximum
        self.maximum_packet_size = maximum_packet_size
        self.sent: list[tuple[bytes, bool]] = []

    def fits(self, packet: bytes) -> bool:
        return len(packet) <= self.maximum_packet_size

    def send(self, packet: bytes) -> None:
        message = packets.parse(packet[0] & ~0x08, packet[2:])
        assert isinstance(message, packets.Publish)
        self.sent.append((message.payload, bool(packet[0] & 0x08)))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def connected(sessions: Sessions, connection: Any, clean: bool = False, expiry_s: int = EXPIRY_S) -> Session:
    session, _ = sessions.open("h1", clean, expiry_s)
    session.subscribe("t", 1)
    session.resume(connection)
    return session


def test_messages_are_kept_for_a_disconnected_client_and_sent_in_order(sessions: Sessions) -> None:
    first: Any = FakeConnection()
    session = connected(sessions, first)
    session.deliver("t", b"a")
    assert sessions.close("h1", first)
    session.deliver("t", b"b")
    second: Any = FakeConnection()
    again, present = sessions.open("h1", False, EXPIRY_S)
    again.resume(second)
    assert (present, again) == (True, session)
    assert second.sent == [(b"a", True), (b"b", False)]


def test_a_session_expires_an_hour_after_its_connection(sessions: Sessions, clock: Clock) -> None:
    connection: Any = FakeConnection()
    connected(sessions, connection, expiry_s=10 * EXPIRY_S)
    clock.now = 2 * EXPIRY_S  # connected all the time
    assert sessions.get("h1")
    sessions.close("h1", connection)
    clock.now += EXPIRY_S - 1
    assert sessions.get("h1")
    clock.now += 1
    assert sessions.get("h1") is None
    assert sessions.open("h1", False, EXPIRY_S)[1] is False


def test_a_clean_session_ends_with_its_connection(sessions: Sessions) -> None:
    connection: Any = FakeConnection()
    connected(sessions, connection, clean=True, expiry_s=0)
    sessions.close("h1", connection)
    assert sessions.get("h1") is None


def test_an_older_connection_does_not_end_the_session_of_its_successor(sessions: Sessions) -> None:
    first: Any = FakeConnection()
    second: Any = FakeConnection()
    connected(sessions, first)
    connected(sessions, second)
    assert not sessions.close("h1", first)
    assert sessions.connections() == [second]


def test_no_more_messages_are_in_flight_than_the_client_accepts(sessions: Sessions) -> None:
    connection: Any = FakeConnection(receive_maximum=2)
    session = connected(sessions, connection)
    for payload in (b"a", b"b", b"c"):
        session.deliver("t", payload)
    assert connection.sent == [(b"a", False), (b"b", False)]
    session.acknowledge(1)
    assert connection.sent[2:] == [(b"c", False)]


def test_too_many_messages_are_dropped_and_reported(sessions: Sessions) -> None:
    connection: Any = FakeConnection()
    session = connected(sessions, connection)
    assert all(session.deliver("t", b"x") for _ in range(MAX_PENDING))
    assert not session.deliver("t", b"one too many")
    session.acknowledge(1)
    assert session.deliver("t", b"next")


def test_a_message_larger_than_the_client_accepts_is_dropped(sessions: Sessions) -> None:
    connection: Any = FakeConnection(maximum_packet_size=20)
    session = connected(sessions, connection)
    assert not session.deliver("t", bytes(30))
    assert session.deliver("t", b"small")
    assert connection.sent == [(b"small", False)]


def test_messages_outside_the_subscriptions_and_of_quality_0_are_not_kept(sessions: Sessions) -> None:
    connection: Any = FakeConnection()
    session = connected(sessions, connection)
    session.subscribe("q0", 0)
    sessions.close("h1", connection)
    session.deliver("q0", b"lost")
    session.deliver("other", b"ignored")
    again: Any = FakeConnection()
    session.resume(again)
    assert again.sent == []
