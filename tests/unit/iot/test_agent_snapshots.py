"""Snapshots of the headset: timing, content, privacy, and the active filter."""

from pathlib import Path

import numpy as np
import pytest

from anc.dsp import Statistics, design_from_statistics
from anc.noise import Classifier
from anc.pcm import MAX_INT16
from anc.schemas.refusal import Refused
from iot.controller import NO_FILTER
from iot.snapshot_recorder import SnapshotRecorder
from iot.snapshot_sequence import MAX_UNREPORTED
from tests.unit.iot.headset import GOOD, PRIMARY, RATE, SECONDARY, Headset


def test_a_new_noise_is_sent_after_a_tenth_a_half_and_one_second(
    headset: Headset,
):
    headset.transport.connect()
    headset.run(1.0)
    headset.level = 0.1
    headset.run(0.2)
    first = headset.transport.wait_snapshot()
    assert (first.seq, first.samples, first.filter_id) == (1, RATE // 4, "")
    x = first.pcm[:, 0] / 32768
    assert np.std(x[-RATE // 10 :]) == pytest.approx(0.1, rel=0.2)
    assert np.std(x[: RATE // 10]) < 1e-3  # the quiet before
    headset.run(0.4)
    half = headset.transport.wait_snapshot()
    assert (half.seq, half.samples) == (2, RATE // 2)
    headset.run(0.7)
    snapshot = headset.transport.wait_snapshot()
    assert (snapshot.seq, snapshot.rate, snapshot.samples, snapshot.filter_id) == (3, RATE, RATE, "")
    x, e = snapshot.pcm.T / 32768
    assert np.std(x[:1000]) == pytest.approx(0.1, rel=0.2)  # noise from its first sample on
    assert np.std(e) == pytest.approx(0.073, rel=0.2)


def test_an_unchanging_noise_is_sent_once_more_and_then_on_the_slow_timer(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.run(80)
    headset.agent.stop()
    assert headset.agent.status.snapshots == 6  # at about 0.1, 0.5, 1, 3, 18 and 78 s


def test_in_privacy_mode_statistics_without_audio_give_the_same_filter(tmp_path: Path):
    snapshots = []
    for private in (False, True):
        headset = Headset(tmp_path / str(private), private)
        headset.transport.connect()
        headset.level = 0.1
        headset.run(1.5)
        headset.transport.wait_snapshot()
        snapshots.append(headset.transport.wait_snapshot())
        headset.agent.stop()
    plain, private = snapshots
    assert private.pcm is None
    assert (private.samples, private.seq, private.filter_id) == (
        plain.samples,
        plain.seq,
        plain.filter_id,
    )
    x, d = plain.pcm.T / 32768
    statistics = Statistics.measure(x, d, SECONDARY, 64, RATE)
    w = design_from_statistics([Statistics.from_bytes(private.statistics)]).taps
    assert statistics.attenuation_db(w) == pytest.approx(
        statistics.attenuation_db(design_from_statistics([statistics]).taps), abs=0.3
    )
    assert Classifier.load().classify_summary(private.summary).label


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize(("dead", "name"), [(0, "reference"), (1, "error")])
def test_a_dead_microphone_is_reported_whatever_plays_and_without_a_snapshot(
    tmp_path: Path, private: bool, dead: int, name: str
):
    headset = Headset(tmp_path, private)
    headset.transport.connect()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.run(1.5)
    assert headset.agent.status.refused == ""
    headset.dead = dead
    headset.run(2.5)
    reported = headset.transport.wait_report(
        refused=f"microphone: the {name} microphone delivers no sound, the {['error', 'reference'][dead]}"
        " microphone measures more than -60 dBFS; check its connection"
    )
    assert reported["active_filter"]


def test_in_privacy_mode_clipped_audio_is_refused_and_reported(tmp_path: Path):
    headset = Headset(tmp_path, private=True)
    headset.transport.connect()
    headset.level = 3.0
    headset.run(1.5)
    refused = headset.transport.wait_report(active_filter="", seq=1)["refused"]
    assert refused.startswith("pcm: at most 1% of the samples must be clipped")
    headset.level = 0.1
    headset.run(5.0)
    assert headset.transport.wait_snapshot().statistics
    headset.play(GOOD, seq=9)
    headset.agent.stop()
    assert headset.agent.status.refused == ""


def test_a_recording_too_short_for_statistics_is_refused():
    recorder = SnapshotRecorder(RATE, SECONDARY, 64, RATE)
    with pytest.raises(Refused, match="snapshot: "):
        recorder.snapshot(1, NO_FILTER, 60, private=True)


def test_quiet_is_not_sent(headset: Headset):
    headset.transport.connect()
    headset.level = 1e-4
    headset.run(20)
    headset.agent.stop()
    assert headset.agent.status.snapshots == 0


def test_a_snapshot_names_the_filter_that_played_and_holds_the_noise_without_control(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.run(1.3)
    assert [headset.transport.wait_snapshot().filter_id for _ in range(3)] == ["", "", ""]
    headset.run(1.0)
    played = headset.play(GOOD, seq=1)
    headset.agent._scheduler.mark_change()  # so that the next snapshot holds sound
    headset.run(2.0)  # the next snapshot is due before the filter has played for a second
    snapshot = headset.transport.wait_snapshot()
    assert (snapshot.filter_id, snapshot.gain) == (played, 0.0)
    uncontrolled = np.convolve(snapshot.pcm[:, 0], PRIMARY)[: len(snapshot.pcm)]
    assert np.std(snapshot.pcm[1000:, 1] - uncontrolled[1000:]) < 0.05 * np.std(uncontrolled)


def test_a_drop_of_the_attenuation_triggers_a_snapshot(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.run(7.0)
    assert [headset.transport.wait_snapshot().seq, headset.transport.wait_snapshot().seq] == [1, 2]
    headset.primary = np.roll(PRIMARY, 1)  # another direction: x is the same, e is not
    headset.run(3.0)
    assert headset.transport.wait_snapshot().seq == 3


def test_offline_the_filter_keeps_playing_and_no_snapshot_is_queued(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.transport.online.clear()
    headset.run(30)
    assert headset.controller.active.gain == 1.0
    headset.transport.connect()
    headset.run(0.1)
    assert headset.transport.wait_snapshot().seq == 1


def test_snapshot_numbers_continue_after_the_number_in_the_shadow(headset: Headset):
    headset.transport.connect(reported={"seq": 41})
    headset.level = 0.1
    headset.run(1.3)
    assert headset.transport.wait_snapshot().seq == 41 + MAX_UNREPORTED + 1


def unusable_snapshot(headset: Headset) -> tuple[str, int]:
    """Send a snapshot with an active filter; return the filter's id and the snapshot's number."""
    headset.transport.connect()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.run(2.0)
    while not (sent := headset.transport.wait_snapshot()).filter_id or sent.samples < RATE:
        pass
    assert sent.filter_id == played
    return played, sent.seq


def test_an_unusable_snapshot_is_repeated_without_control_and_the_filter_resumes(headset: Headset):
    played, seq = unusable_snapshot(headset)
    headset.transport.send_delta(without_control=seq)
    headset.transport.wait_report(active_filter="")
    headset.run(0.05 + 0.25 + 0.15)
    snapshot = headset.transport.wait_snapshot()
    assert (snapshot.filter_id, snapshot.gain, snapshot.samples, snapshot.seq) == (
        "",
        0.0,
        RATE // 4,
        seq + 1,
    )
    assert np.std(snapshot.pcm[:, 1] / 32768) > 0.05
    headset.run(0.1)
    assert headset.controller.active.filter_id == played
    headset.transport.send_delta(without_control=seq)  # repeated in later deltas
    headset.transport.send_delta(intensity=0.5)
    assert headset.transport.wait_report(intensity=0.5)["active_filter"] == played


def test_a_request_without_control_is_ignored_once_another_filter_plays(headset: Headset):
    _, seq = unusable_snapshot(headset)
    other = headset.play(0.9 * GOOD, seq=2)
    headset.transport.send_delta(without_control=seq)
    headset.transport.send_delta(intensity=0.5)
    assert headset.transport.wait_report(intensity=0.5)["active_filter"] == other


def test_the_filter_resumes_when_the_connection_is_lost_during_a_request_without_control(headset: Headset):
    played, seq = unusable_snapshot(headset)
    headset.transport.send_delta(without_control=seq)
    headset.transport.wait_report(active_filter="")
    headset.transport.online.clear()
    headset.run(0.5)
    headset.agent.stop()
    headset.run(0.1)
    assert headset.controller.active.filter_id == played


def test_noise_beyond_full_scale_attenuates_both_channels_alike():
    recorder = SnapshotRecorder(400, [1.0], 8, 16_000)
    x = np.linspace(-0.8, 0.8, 400, dtype=np.float32)
    recorder.process(x, np.zeros(400, np.float32), 2 * x)
    pcm = recorder.snapshot(1, NO_FILTER, 400, private=False).pcm
    assert pcm is not None
    assert np.abs(pcm[:, 1]).max() >= 32_767
    assert np.allclose(pcm[:, 1], 2.0 * pcm[:, 0], atol=2)


def test_samples_at_which_the_error_microphone_is_clipped_are_recorded_as_clipped():
    recorder = SnapshotRecorder(400, [1.0], 8, 16_000)
    e = np.zeros(400, np.float32)
    e[:40] = 1.0
    recorder.process(0.1 * e, e, 0.5 * np.ones(400, np.float32))
    pcm = recorder.snapshot(1, NO_FILTER, 400, private=False).pcm
    assert pcm is not None
    assert np.count_nonzero(np.abs(pcm[:, 1].astype(int)) >= 32_767) == 40


def test_a_clipped_reference_stays_clipped_when_both_channels_are_attenuated():
    recorder = SnapshotRecorder(400, [1.0], 8, 16_000)
    x = np.full(400, 0.5, np.float32)
    x[:40] = 1.0
    recorder.process(x, np.zeros(400, np.float32), np.full(400, 2.0, np.float32))
    pcm = recorder.snapshot(1, NO_FILTER, 400, private=False).pcm
    assert pcm is not None
    assert np.count_nonzero(pcm[:, 0] >= MAX_INT16) == 40


def test_sound_is_sent_while_a_noise_is_new_and_statistics_afterwards(headset: Headset):
    headset.transport.connect()
    headset.level = 0.1
    headset.run(5)
    sent = [headset.transport.wait_snapshot() for _ in range(4)]
    assert [each.pcm is None for each in sent] == [False, False, False, True]
    assert sent[-1].samples == RATE
    assert len(sent[-1].encode()) < len(sent[-2].encode()) / 10
