"""The simulated way to the cloud: as late, lossy and repetitive as one asks for, and never early."""

from itertools import pairwise

import pytest

from simulation.network import GOOD_CONDITIONS, NetworkConditions, SimulatedNetwork

MANY = 400
BETWEEN_S = 0.02


class Arrived:
    """What arrived on one side, and when."""

    def __init__(self, conditions: NetworkConditions, up: bool) -> None:
        self.line = SimulatedNetwork(lambda _, payload: self.note(payload), conditions)
        self.line.on("down", self.note)
        self.line.start()
        self.log: list[tuple[int, float]] = []
        for k in range(MANY):
            self.line.pass_time(k * BETWEEN_S)
            payload = str(k).encode()
            if up:
                assert self.line.publish("up", payload)
            else:
                self.line.answer("down", payload)
        self.line.pass_time(1e9)

    def note(self, payload: bytes) -> None:
        self.log.append((int(payload), self.line.now))

    def travelled_s(self) -> list[float]:
        return [at - k * BETWEEN_S for k, at in self.log]


@pytest.fixture(params=[True, False], ids=["up", "down"])
def up(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_in_fair_weather_everything_arrives_once_in_order_and_not_before_it_was_due(up: bool) -> None:
    arrived = Arrived(GOOD_CONDITIONS, up)
    assert [k for k, _ in arrived.log] == list(range(MANY))
    assert arrived.travelled_s() == pytest.approx([GOOD_CONDITIONS.one_way_s] * MANY)


def test_what_gets_lost_comes_when_it_is_sent_again(up: bool) -> None:
    arrived = Arrived(NetworkConditions(lost=0.25), up)
    assert sorted(k for k, _ in arrived.log) == list(range(MANY))
    late = [s for s in arrived.travelled_s() if s > 0.5]
    assert late == pytest.approx([1.05] * len(late))
    assert 0.15 < len(late) / MANY < 0.35


def test_a_message_that_comes_twice_comes_after_newer_ones_and_a_late_one_is_overtaken(up: bool) -> None:
    twice = [k for k, _ in Arrived(NetworkConditions(twice=0.25), up).log]
    assert 1.15 < len(twice) / MANY < 1.35
    assert set(twice) == set(range(MANY))
    assert any(later < earlier for earlier, later in pairwise(twice))
    late = [k for k, _ in Arrived(NetworkConditions(late=0.25), up).log]
    assert sorted(late) == list(range(MANY))
    assert late != sorted(late)


def test_offline_nothing_is_published_and_what_was_on_its_way_down_is_lost() -> None:
    arrived: list[bytes] = []
    line = SimulatedNetwork(lambda _, payload: arrived.append(payload))
    line.on("down", arrived.append)
    assert not line.publish("up", b"before")
    line.start()
    line.answer("down", b"down")
    line.stop()
    assert not line.publish("up", b"after")
    line.pass_time(10.0)
    assert arrived == []
