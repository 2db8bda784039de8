"""The simulated network: latency, loss, duplicates and delays."""

from itertools import pairwise

import pytest

from simulation.network import GOOD_CONDITIONS, NetworkConditions, SimulatedNetwork

MANY = 400
BETWEEN_S = 0.02


class Received:
    """Messages that arrived on one side, with their times."""

    def __init__(self, conditions: NetworkConditions, up: bool) -> None:
        self.line = SimulatedNetwork(lambda _, payload: self.note(payload), conditions)
        self.line.subscribe("down", self.note)
        self.line.start()
        self.log: list[tuple[int, float]] = []
        for k in range(MANY):
            self.line.advance_to(k * BETWEEN_S)
            payload = str(k).encode()
            if up:
                assert self.line.publish("up", payload)
            else:
                self.line.publish_to_headset("down", payload)
        self.line.advance_to(1e9)

    def note(self, payload: bytes) -> None:
        self.log.append((int(payload), self.line.now))

    def latencies_s(self) -> list[float]:
        return [at - k * BETWEEN_S for k, at in self.log]


@pytest.fixture(params=[True, False], ids=["up", "down"])
def up(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_without_faults_every_message_arrives_once_in_order_after_the_latency(up: bool) -> None:
    received = Received(GOOD_CONDITIONS, up)
    assert [k for k, _ in received.log] == list(range(MANY))
    assert received.latencies_s() == pytest.approx([GOOD_CONDITIONS.one_way_s] * MANY)


def test_lost_messages_arrive_after_the_resend_interval(up: bool) -> None:
    received = Received(NetworkConditions(loss=0.25), up)
    assert sorted(k for k, _ in received.log) == list(range(MANY))
    delayed = [s for s in received.latencies_s() if s > 0.5]
    assert delayed == pytest.approx([1.05] * len(delayed))
    assert 0.15 < len(delayed) / MANY < 0.35


def test_duplicates_and_delayed_messages_arrive_after_newer_ones(up: bool) -> None:
    duplicates = [k for k, _ in Received(NetworkConditions(duplicates=0.25), up).log]
    assert 1.15 < len(duplicates) / MANY < 1.35
    assert set(duplicates) == set(range(MANY))
    assert any(later < earlier for earlier, later in pairwise(duplicates))
    delayed = [k for k, _ in Received(NetworkConditions(delayed=0.25), up).log]
    assert sorted(delayed) == list(range(MANY))
    assert delayed != sorted(delayed)


def test_offline_no_message_is_sent_and_messages_in_flight_are_lost() -> None:
    received: list[bytes] = []
    line = SimulatedNetwork(lambda _, payload: received.append(payload))
    line.subscribe("down", received.append)
    assert not line.publish("up", b"before")
    line.start()
    line.publish_to_headset("down", b"down")
    line.stop()
    assert not line.publish("up", b"after")
    line.advance_to(10.0)
    assert received == []
