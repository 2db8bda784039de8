"""How fast headsets may publish: slowed down first, cut off if they do not stop."""

import asyncio

import pytest

from anc.token_bucket import TokenBucket
from local.mqtt.message_rates import BURST_S, LONGEST_DELAY_S, MOST_DELAYED, MessageRates
from tests.fakes import Clock

PER_S = 10.0


class Paced:
    """A pace in a time that passes when a headset is made to wait, and when the test says so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waited: list[float] = []
        self.pace = MessageRates(PER_S, 1000.0, self.clock, self._pause)

    async def _pause(self, wait_s: float) -> None:
        self.waited.append(wait_s)
        self.clock.now += wait_s

    def publish(self, thing: str = "h", messages: int = 1, size: int = 0) -> bool:
        return asyncio.run(self.pace.admit(thing, messages, size))


def test_a_burst_is_taken_at_once_and_what_follows_at_the_rate() -> None:
    paced = Paced()
    assert all(paced.publish() for _ in range(int(PER_S * BURST_S)))
    assert paced.waited == []
    assert all(paced.publish() for _ in range(50))
    assert paced.waited == pytest.approx([1 / PER_S] * 50)


def test_a_headset_that_does_not_stop_is_cut_off_and_stays_out_until_it_was_quiet() -> None:
    paced = Paced()
    taken = 0
    while paced.publish():
        taken += 1
    assert taken == PER_S * BURST_S + MOST_DELAYED
    assert not paced.publish(), "coming back at once changes nothing"
    paced.clock.now += 2 * BURST_S
    assert paced.publish()


def test_large_messages_count_by_their_bytes() -> None:
    paced = Paced()
    assert paced.publish(size=int(1000 * BURST_S))
    assert paced.publish(size=500)
    assert paced.waited == pytest.approx([0.5])
    assert not paced.publish(size=int(1000 * (LONGEST_DELAY_S + 1)))


def test_one_headset_makes_no_other_wait() -> None:
    paced = Paced()
    while paced.publish("rogue"):
        pass
    paced.waited.clear()
    assert all(paced.publish("other") for _ in range(10))
    assert paced.waited == []


def test_the_buckets_of_very_many_headsets_take_no_more_room_than_they_may() -> None:
    allowance = TokenBucket(1.0, 1.0, Clock(), most_keys=3)
    assert all(allowance.take(f"h{number}") for number in range(10))
    assert not allowance.take("h9")
    assert allowance.take("h0"), "the one not seen for longest is forgotten"
