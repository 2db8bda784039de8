"""Timing, length and rate limit of snapshots."""

from collections.abc import Iterable

import numpy as np
import pytest

from iot.controller import NO_FILTER, Block
from iot.snapshot_scheduler import BURST, FOLLOW_UP_S, SnapshotScheduler
from simulation.scenes import shaped_noise

RATE, SIZE = 16_000, 256
LOW = [(50.0, 0.0), (300.0, 0.0), (2000.0, -40.0)]
HIGH = [(50.0, -40.0), (300.0, -20.0), (1000.0, 0.0), (4000.0, 0.0)]
MIDDLE = [(50.0, -40.0), (400.0, 0.0), (700.0, 0.0), (4000.0, -40.0)]
SLOW_S = 60.0


def noise(seconds: float, curve: list[tuple[float, float]]) -> np.ndarray:
    return 0.05 * shaped_noise(np.random.default_rng(0), int(seconds * RATE), RATE, curve)


def snapshots(scheduler: SnapshotScheduler, sounds: Iterable[np.ndarray]) -> list[tuple[float, int]]:
    """Process sounds and send what is due; return the time in seconds and the length of each snapshot."""
    sent = []
    for samples in sounds:
        for at in range(0, samples.size - SIZE + 1, SIZE):
            x = samples[at : at + SIZE].astype(np.float32)
            scheduler.process(Block(x, x, x, NO_FILTER, steady=True))
            if due := scheduler.due():
                sent.append((scheduler.elapsed / RATE, due))
                scheduler.mark_sent(due)
    return sent


def test_after_quiet_a_first_snapshot_is_due_within_an_eighth_of_a_second_and_then_longer_ones():
    sent = snapshots(SnapshotScheduler(RATE, RATE, SLOW_S), [np.zeros(RATE), noise(5, LOW)])
    assert [samples for _, samples in sent] == [RATE // 4, *(int(s * RATE) for s in FOLLOW_UP_S), RATE]
    assert sent[0][0] - 1.0 < 0.125
    assert sent[-1][0] - 1.0 < 3.5


def test_a_flickering_noise_sends_only_a_burst_before_the_slow_timer():
    sent = snapshots(
        SnapshotScheduler(RATE, RATE, SLOW_S), [np.zeros(RATE)] + 10 * [noise(1.5, LOW), noise(1.5, HIGH)]
    )
    first_snapshots = [at for at, samples in sent if samples == RATE // 4]
    assert 1 < len(first_snapshots) <= BURST
    assert len(sent) <= BURST * (2 + len(FOLLOW_UP_S))


def test_after_the_slow_timer_a_change_is_sent_again():
    scheduler = SnapshotScheduler(RATE, RATE, 5.0)
    snapshots(scheduler, [np.zeros(RATE)] + 10 * [noise(1.5, LOW), noise(1.5, HIGH)])
    snapshots(scheduler, [np.zeros(5 * RATE)])
    assert snapshots(scheduler, [noise(0.7, MIDDLE)])


@pytest.mark.parametrize("max_samples", [RATE // 8, RATE // 2])
def test_snapshots_are_no_longer_than_the_maximum(max_samples: int):
    sent = snapshots(SnapshotScheduler(RATE, max_samples, SLOW_S), [np.zeros(RATE), noise(5, LOW)])
    assert sent
    assert max(samples for _, samples in sent) == max_samples
