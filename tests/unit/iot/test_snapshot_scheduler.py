"""When a headset shows the cloud its noise, and how often at most."""

from collections.abc import Iterable

import numpy as np
import pytest

from iot.controller import NO_FILTER, Block
from iot.snapshot_scheduler import BURST, FOLLOW_UP_S, SnapshotScheduler
from simulation.scenes import shaped

RATE, SIZE = 16_000, 256
LOW = [(50.0, 0.0), (300.0, 0.0), (2000.0, -40.0)]
HIGH = [(50.0, -40.0), (300.0, -20.0), (1000.0, 0.0), (4000.0, 0.0)]
MIDDLE = [(50.0, -40.0), (400.0, 0.0), (700.0, 0.0), (4000.0, -40.0)]
SLOW_S = 60.0


def noise(seconds: float, curve: list[tuple[float, float]]) -> np.ndarray:
    return 0.05 * shaped(np.random.default_rng(0), int(seconds * RATE), RATE, curve)


def looks(lookout: SnapshotScheduler, sounds: Iterable[np.ndarray]) -> list[tuple[float, int]]:
    """Let sounds pass and send whatever is due; returns when, in seconds, and how many samples."""
    sent = []
    for samples in sounds:
        for at in range(0, samples.size - SIZE + 1, SIZE):
            x = samples[at : at + SIZE].astype(np.float32)
            lookout.process(Block(x, x, x, NO_FILTER, steady=True))
            if due := lookout.due():
                sent.append((lookout.heard / RATE, due))
                lookout.sent(due)
    return sent


def test_out_of_quiet_a_glance_is_due_within_an_eighth_of_a_second_and_then_longer_looks():
    sent = looks(SnapshotScheduler(RATE, RATE, SLOW_S), [np.zeros(RATE), noise(5, LOW)])
    assert [samples for _, samples in sent] == [RATE // 4, *(int(s * RATE) for s in FOLLOW_UP_S), RATE]
    assert sent[0][0] - 1.0 < 0.125
    assert sent[-1][0] - 1.0 < 3.5


def test_however_a_noise_flickers_a_burst_of_changes_is_all_that_is_shown_before_the_slow_timer():
    sent = looks(
        SnapshotScheduler(RATE, RATE, SLOW_S), [np.zeros(RATE)] + 10 * [noise(1.5, LOW), noise(1.5, HIGH)]
    )
    glances = [at for at, samples in sent if samples == RATE // 4]
    assert 1 < len(glances) <= BURST
    assert len(sent) <= BURST * (2 + len(FOLLOW_UP_S))


def test_after_the_slow_timer_another_noise_is_shown_again():
    lookout = SnapshotScheduler(RATE, RATE, 5.0)
    looks(lookout, [np.zeros(RATE)] + 10 * [noise(1.5, LOW), noise(1.5, HIGH)])
    looks(lookout, [np.zeros(5 * RATE)])
    assert looks(lookout, [noise(0.7, MIDDLE)]), "the quiet has earned it a change"


@pytest.mark.parametrize("longest", [RATE // 8, RATE // 2])
def test_a_headset_whose_message_holds_less_shows_what_it_holds(longest: int):
    sent = looks(SnapshotScheduler(RATE, longest, SLOW_S), [np.zeros(RATE), noise(5, LOW)])
    assert sent
    assert max(samples for _, samples in sent) == longest
