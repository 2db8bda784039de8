"""Timing, length and rate limit of snapshots."""

from collections.abc import Iterable

import numpy as np
import pytest

from iot.controller import NO_FILTER, Block
from iot.snapshot_scheduler import BURST, CHANGE_INTERVAL_S, FOLLOW_UP_S, LONGEST_S, SnapshotScheduler
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


def test_some_time_after_a_burst_a_change_is_sent_again():
    scheduler = SnapshotScheduler(RATE, RATE, SLOW_S)
    for _ in range(BURST + 1):
        scheduler.mark_answered()  # so that no noise is remembered
        sent = snapshots(scheduler, [np.zeros(RATE), noise(0.7, LOW), np.zeros(RATE), noise(0.7, HIGH)])
    assert not sent
    snapshots(scheduler, [np.zeros(int(CHANGE_INTERVAL_S) * RATE)])
    assert snapshots(scheduler, [noise(0.7, MIDDLE)])


def test_the_interval_grows_while_snapshots_bring_no_filter_and_restarts_with_a_filter():
    scheduler = SnapshotScheduler(RATE, RATE, 2.0)
    unanswered = [at for at, _ in snapshots(scheduler, [np.zeros(RATE), noise(50, LOW)])][-4:]
    assert np.allclose(np.diff(unanswered), [2, 8, 32], atol=0.1)
    scheduler.mark_answered()
    assert scheduler.interval_s == 2.0
    scheduler.interval_s = LONGEST_S
    snapshots(scheduler, [noise(40, LOW)])
    assert scheduler.interval_s <= LONGEST_S


def test_the_interval_stays_short_while_the_cloud_must_check_again():
    scheduler = SnapshotScheduler(RATE, RATE, 2.0)
    scheduler.backs_off = False
    sent = [at for at, _ in snapshots(scheduler, [np.zeros(RATE), noise(15, LOW)])]
    assert np.allclose(np.diff(sent[-4:]), 2, atol=0.1)


def test_the_return_of_a_noise_for_which_the_filter_was_kept_is_no_change():
    scheduler = SnapshotScheduler(RATE, RATE, SLOW_S)
    turns = [noise(6, LOW), noise(6, HIGH)]
    assert len(snapshots(scheduler, [np.zeros(RATE), *turns])) >= 8  # both are new
    assert snapshots(scheduler, turns) == []
    scheduler.mark_answered()  # another filter, for which neither is known
    assert snapshots(scheduler, turns)


@pytest.mark.parametrize("max_samples", [RATE // 8, RATE // 2])
def test_snapshots_are_no_longer_than_the_maximum(max_samples: int):
    sent = snapshots(SnapshotScheduler(RATE, max_samples, SLOW_S), [np.zeros(RATE), noise(5, LOW)])
    assert sent
    assert max(samples for _, samples in sent) == max_samples
