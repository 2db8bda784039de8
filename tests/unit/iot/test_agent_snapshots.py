"""What a headset publishes of its noise, when, and with which filter playing."""

from pathlib import Path

import numpy as np
import pytest

from anc.dsp import Statistics, design_from_statistics
from anc.noise import Classifier
from anc.schemas.refusal import Refused
from iot.controller import NO_FILTER
from iot.snapshot_recorder import SnapshotRecorder
from tests.unit.iot.headset import GOOD, PRIMARY, RATE, SECONDARY, Headset


def test_the_onset_of_noise_is_published_after_a_tenth_of_a_second_and_again_after_a_half_and_one(
    headset: Headset,
):
    headset.line.come_online()
    headset.sound(1.0)
    headset.level = 0.1
    headset.sound(0.2)
    glance = headset.line.wait_snapshot()
    assert (glance.seq, glance.samples, glance.filter_id) == (1, RATE // 4, "")
    x = glance.pcm[:, 0] / 32768
    assert np.std(x[-RATE // 10 :]) == pytest.approx(0.1, rel=0.2)
    assert np.std(x[: RATE // 10]) < 1e-3  # the quiet before
    headset.sound(0.4)
    half = headset.line.wait_snapshot()
    assert (half.seq, half.samples) == (2, RATE // 2)
    headset.sound(0.7)
    snapshot = headset.line.wait_snapshot()
    assert (snapshot.seq, snapshot.rate, snapshot.samples, snapshot.filter_id) == (3, RATE, RATE, "")
    x, e = snapshot.pcm.T / 32768
    assert np.std(x[:1000]) == pytest.approx(0.1, rel=0.2)  # noise from its first sample on
    assert np.std(e) == pytest.approx(0.073, rel=0.2)


def test_an_unchanging_noise_is_published_soon_once_more_and_then_on_a_slow_timer(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.sound(40)
    headset.agent.stop()
    assert headset.agent.status.snapshots == 6  # at about 0.1, 0.5, 1, 3, 18 and 33 s


def test_in_privacy_mode_no_sound_leaves_the_headset_and_the_statistics_tell_the_same_filter(tmp_path: Path):
    told = []
    for private in (False, True):
        headset = Headset(tmp_path / str(private), private)
        headset.line.come_online()
        headset.level = 0.1
        headset.sound(1.5)
        headset.line.wait_snapshot()
        told.append(headset.line.wait_snapshot())
        headset.agent.stop()
    heard, kept = told
    assert kept.pcm is None
    assert (kept.samples, kept.seq, kept.filter_id) == (heard.samples, heard.seq, heard.filter_id)
    x, d = heard.pcm.T / 32768
    aloud = Statistics.measure(x, d, SECONDARY, 64, RATE)
    w = design_from_statistics([Statistics.from_bytes(kept.statistics)]).taps
    assert aloud.attenuation_db(w) == pytest.approx(
        aloud.attenuation_db(design_from_statistics([aloud]).taps), abs=0.3
    )
    assert Classifier.load().classify_summary(kept.summary).label


def test_in_privacy_mode_nothing_is_told_of_clipped_sound_but_that_it_was_clipped(tmp_path: Path):
    headset = Headset(tmp_path, private=True)
    headset.line.come_online()
    headset.level = 3.0
    headset.sound(1.5)
    refused = headset.line.wait_report(filter="", seq=1)["refused"]
    assert refused.startswith("pcm: ")
    assert refused.endswith("of the samples are clipped, at most 1% may be")
    headset.level = 0.1
    headset.sound(5.0)
    assert headset.line.wait_snapshot().statistics, "it goes on"
    headset.play(GOOD, seq=9)
    headset.agent.stop()
    assert headset.agent.status.refused == ""


def test_of_too_little_sound_for_statistics_a_recorder_says_so():
    recorder = SnapshotRecorder(RATE, SECONDARY, 64, RATE)
    with pytest.raises(Refused, match="snapshot: "):
        recorder.snapshot(1, NO_FILTER, 60, private=True)


def test_quiet_is_not_published(headset: Headset):
    headset.line.come_online()
    headset.level = 1e-4
    headset.sound(20)
    headset.agent.stop()
    assert headset.agent.status.snapshots == 0


def test_a_snapshot_names_the_one_filter_that_played_during_all_of_it(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.sound(1.3)
    assert [headset.line.wait_snapshot().filter_id for _ in range(3)] == ["", "", ""]
    headset.sound(1.0)
    played = headset.play(GOOD, seq=1)
    headset.sound(2.0)  # the next look is due when the filter has not yet played for a second
    snapshot = headset.line.wait_snapshot()
    assert (snapshot.filter_id, snapshot.gain) == (played, 1.0)
    assert np.std(snapshot.pcm[:1000, 1] / 32768) < 0.03  # controlled from its first sample on


def test_a_noise_that_the_filter_does_not_suit_is_published(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.sound(7.0)
    assert [headset.line.wait_snapshot().seq, headset.line.wait_snapshot().seq] == [1, 2]
    headset.primary = np.roll(PRIMARY, 1)  # the same sound from elsewhere: x is as before, e is not
    headset.sound(3.0)
    assert headset.line.wait_snapshot().seq == 3


def test_offline_the_filter_keeps_playing_and_no_stale_snapshot_is_sent_later(headset: Headset):
    headset.line.come_online()
    headset.level = 0.1
    headset.play(GOOD, seq=1)
    headset.line.online.clear()
    headset.sound(30)
    assert headset.controller.active.gain == 1.0
    headset.line.come_online()
    headset.sound(0.1)
    assert headset.line.wait_snapshot().seq == 1


def test_snapshots_are_numbered_on_above_what_the_shadow_says(headset: Headset):
    headset.line.come_online(reported={"seq": 41})
    headset.level = 0.1
    headset.sound(1.3)
    assert headset.line.wait_snapshot().seq == 42


def useless_snapshot(headset: Headset) -> tuple[str, int]:
    """Have a headset publish with a filter that the cloud does not know; return filter and number."""
    headset.line.come_online()
    headset.level = 0.1
    played = headset.play(GOOD, seq=1)
    headset.sound(2.0)
    while not (sent := headset.line.wait_snapshot()).filter_id or sent.samples < RATE:
        pass
    assert sent.filter_id == played
    return played, sent.seq


def test_what_the_cloud_could_not_use_is_sent_again_without_control_and_the_filter_plays_on(headset: Headset):
    played, seq = useless_snapshot(headset)
    headset.line.desire(without_control=seq)
    headset.line.wait_report(filter="")
    headset.sound(0.05 + 0.25 + 0.15)
    bare = headset.line.wait_snapshot()
    assert (bare.filter_id, bare.gain, bare.samples, bare.seq) == ("", 0.0, RATE // 4, seq + 1)
    assert np.std(bare.pcm[:, 1] / 32768) > 0.05
    assert headset.line.wait_report(filter=played)["seq"] == seq + 1
    headset.sound(0.1)
    assert headset.controller.active.filter_id == played
    headset.line.desire(without_control=seq)  # as it comes with every delta until there is another
    headset.line.desire(intensity=0.5)
    assert headset.line.wait_report(intensity=0.5)["filter"] == played


def test_a_headset_that_plays_another_filter_by_now_falls_silent_for_nobody(headset: Headset):
    _, seq = useless_snapshot(headset)
    other = headset.play(0.9 * GOOD, seq=2)
    headset.line.desire(without_control=seq)
    headset.line.desire(intensity=0.5)
    assert headset.line.wait_report(intensity=0.5)["filter"] == other


def test_a_headset_that_loses_the_cloud_while_silent_for_it_plays_on(headset: Headset):
    played, seq = useless_snapshot(headset)
    headset.line.desire(without_control=seq)
    headset.line.wait_report(filter="")
    headset.line.online.clear()
    headset.sound(0.5)
    headset.agent.stop()
    headset.sound(0.1)
    assert headset.controller.active.filter_id == played
