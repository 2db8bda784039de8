"""Rate limits of headset messages: delayed first, then disconnected."""

import asyncio

import pytest

from anc.token_bucket import TokenBucket
from local.mqtt.message_rates import BURST_S, MAX_DELAY_S, MAX_DELAYED, MessageRates
from tests.fakes import Clock

PER_S = 10.0


class FakeTimeRates:
    """Rate limits with a fake clock that a delay or the test advances."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waited: list[float] = []
        self.pace = MessageRates(PER_S, 1000.0, self.clock, self._pause)

    async def _pause(self, wait_s: float) -> None:
        self.waited.append(wait_s)
        self.clock.now += wait_s

    def publish(self, thing: str = "h", messages: int = 1, size: int = 0) -> bool:
        return asyncio.run(self.pace.admit(thing, messages, size))


def test_a_burst_passes_at_once_and_the_rest_at_the_rate() -> None:
    paced = FakeTimeRates()
    assert all(paced.publish() for _ in range(int(PER_S * BURST_S)))
    assert paced.waited == []
    assert all(paced.publish() for _ in range(50))
    assert paced.waited == pytest.approx([1 / PER_S] * 50)


def test_a_flooding_headset_is_disconnected_until_it_has_been_quiet() -> None:
    paced = FakeTimeRates()
    taken = 0
    while paced.publish():
        taken += 1
    assert taken == PER_S * BURST_S + MAX_DELAYED
    assert not paced.publish(), "coming back at once changes nothing"
    paced.clock.now += 2 * BURST_S
    assert paced.publish()


def test_large_messages_count_by_their_bytes() -> None:
    paced = FakeTimeRates()
    assert paced.publish(size=int(1000 * BURST_S))
    assert paced.publish(size=500)
    assert paced.waited == pytest.approx([0.5])
    assert not paced.publish(size=int(1000 * (MAX_DELAY_S + 1)))


def test_one_headset_does_not_delay_another() -> None:
    paced = FakeTimeRates()
    while paced.publish("rogue"):
        pass
    paced.waited.clear()
    assert all(paced.publish("other") for _ in range(10))
    assert paced.waited == []


def test_the_number_of_buckets_is_limited() -> None:
    allowance = TokenBucket(1.0, 1.0, Clock(), max_keys=3)
    assert all(allowance.take(f"h{number}") for number in range(10))
    assert not allowance.take("h9")
    assert allowance.take("h0"), "the one not seen for longest is forgotten"
