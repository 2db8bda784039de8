"""Live sessions whose answers lag behind their sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc.schemas.websocket import Audio, FilteredBlock, Start, encode_pcm
from anc.services.sound import sessions
from anc.services.sound.session_lag import IDLE_S, MIN_BLOCK_S, SessionLag
from anc.services.sound.streaming import filter_block
from tests.fakes import ALICE, FakePlatform

RATE, BLOCK = 16_000, 1600
BLOCK_S = BLOCK / RATE
SLOW_S = 0.4
PCM = encode_pcm(np.random.default_rng(0).integers(-3000, 3000, 2 * BLOCK).astype("<i2"))


class LiveClient:
    """A client that sends each block when the last one is answered, with given answer times."""

    def __init__(self, platform: FakePlatform) -> None:
        self.platform = platform
        start = Start(rate=RATE, channels=2, taps=16)
        self.session = sessions.open_session(start, ALICE, platform.deps).key

    def send(self, seq: int, taking_s: float) -> FilteredBlock:
        received = self.platform.clock.now
        self.platform.clock.now += taking_s
        return filter_block(Audio(self.session, seq, PCM), ALICE, self.platform.deps, received)

    def fall_behind(self) -> int:
        """Send blocks with late answers until the lag exceeds the limit; return the next seq."""
        for seq in range(5):
            self.send(seq, SLOW_S)
        return 5


@pytest.fixture
def client(platform: FakePlatform) -> LiveClient:
    return LiveClient(platform)


def test_a_session_that_falls_behind_gets_answers_with_its_lag(
    client: LiveClient,
) -> None:
    seq = client.fall_behind()
    answer = client.send(seq, SLOW_S)
    assert (answer.seq, answer.lag_s) == (seq, pytest.approx(1.5))


def test_a_client_that_skips_to_its_newest_block_has_no_lag(client: LiveClient) -> None:
    answer = client.send(client.fall_behind() + 10, SLOW_S)
    assert (answer.gap, answer.lag_s) == (10, None)


def test_a_session_catches_up_after_one_slow_answer(client: LiveClient) -> None:
    client.send(0, 5.0)
    lags = [client.send(seq, 0.01).lag_s for seq in range(1, 100)]
    assert lags[0] == pytest.approx(4.9)
    assert lags[-1] is None


def test_a_constant_lag_is_reported(client: LiveClient) -> None:
    client.send(0, 1.0)
    assert [client.send(seq, BLOCK_S).lag_s for seq in range(1, 10)] == pytest.approx([0.9] * 9)


def test_a_client_that_pauses_has_no_lag(client: LiveClient) -> None:
    seq = client.fall_behind()
    client.platform.clock.now += 2 * IDLE_S
    assert client.send(seq, SLOW_S).lag_s is None


def test_a_repeated_block_gets_its_answer_in_spite_of_a_lag(client: LiveClient) -> None:
    seq = client.fall_behind()
    again = client.send(seq - 1, SLOW_S)
    assert again.seq == seq - 1


def test_clock_differences_do_not_count_as_lag(client: LiveClient) -> None:
    for seq in range(9):
        skewed = client.platform.clock.now - 3600
        answer = filter_block(Audio(client.session, seq, PCM), ALICE, client.platform.deps, skewed)
        assert answer.lag_s is None


@given(st.lists(st.floats(0.001, 0.08), min_size=1, max_size=50))
def test_the_lag_equals_the_waiting_time_of_the_next_block(taking_s: list[float]) -> None:
    block_s = 2 * MIN_BLOCK_S
    pace, free = SessionLag(), 1000.0
    for number, seconds in enumerate(taking_s):
        recorded = 1000.0 + number * block_s
        sent = max(recorded, free)
        free = sent + seconds
        pace = pace.after(sent, free, block_s)
        waits = max(free - (recorded + block_s), 0.0)
        assert pace.lag_s == pytest.approx(waits, abs=1e-6)
        assert pace.lag_at(free) == pace.lag_s
