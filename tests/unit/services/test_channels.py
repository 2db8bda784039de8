"""An alarm in any channel is detected wherever sound comes in, also where the channels cancel each other."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from anc.pcm import float_to_int16
from anc.ports import Dependencies
from anc.records import Options
from anc.schemas.refusal import Refused
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import Audio, Start, encode_pcm
from anc.services.sound import detection, file_detection, sessions
from anc.services.sound.recordings import process_short
from anc.services.sound.streaming import filter_block
from simulation.headset import make_emergency_detector
from tests.alarms import siren
from tests.fakes import ALICE
from tests.recordings import sound_file
from tools.cli.classify import classify_files

RATE, SECONDS = 16_000, 2.5
ALARM = siren(SECONDS, RATE)
NOISE = 0.02 * np.random.default_rng(1).standard_normal(ALARM.size)
CHANNELS = {"antiphase": (ALARM, -ALARM), "first": (ALARM, NOISE), "second": (NOISE, ALARM)}


@pytest.fixture(params=CHANNELS)
def channels(request: pytest.FixtureRequest) -> np.ndarray:
    return np.stack(CHANNELS[request.param], axis=1)


def test_in_a_file_to_classify(channels: np.ndarray, deps: Dependencies) -> None:
    assert file_detection.classify_file(sound_file(channels, rate=RATE), deps)["emergency"]["active"]


def test_in_a_file_to_search_for_emergencies(channels: np.ndarray, deps: Dependencies) -> None:
    assert file_detection.emergency_in_file(sound_file(channels, rate=RATE), deps)[0].active


@pytest.mark.parametrize("mode", ["cancel", "classify"])
def test_in_a_recording(channels: np.ndarray, mode: str, deps: Dependencies) -> None:
    options = Options(mode=mode, taps=16)  # type: ignore[arg-type]
    _, report = process_short(sound_file(channels, rate=RATE), options, deps)
    assert report.emergencies
    assert report.before.level_dbfs > -60, "the channels do not cancel in the levels either"


def test_in_a_snapshot(channels: np.ndarray, deps: Dependencies) -> None:
    pcm = float_to_int16(channels[:RATE])
    assert detection.detect_in_snapshot(Snapshot(1, RATE, RATE, "", pcm=pcm), deps).kind


def test_in_a_live_session(channels: np.ndarray, deps: Dependencies) -> None:
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, deps).key
    for seq, block in enumerate(np.split(float_to_int16(channels), 10)):
        answer = filter_block(Audio(session=session, seq=seq, pcm=encode_pcm(block)), ALICE, deps)
    assert answer.emergency.active


def test_on_the_headset(channels: np.ndarray) -> None:
    detector = make_emergency_detector(RATE)
    detector.process(channels)
    assert detector.holding


def test_on_the_command_line(channels: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "alarm.wav"
    file.write_bytes(sound_file(channels, rate=RATE))
    (result,) = classify_files([file], Console(quiet=True))
    assert result["emergency"]


def test_a_file_with_too_many_samples_over_all_channels_is_refused_before_it_is_decoded(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_detection, "MAX_SAMPLES", 2 * ALARM.size - 1)
    with pytest.raises(Refused, match=r"at most 79,999 samples over all channels \(got 80,000\)"):
        file_detection.emergency_in_file(sound_file(np.stack([ALARM, NOISE], axis=1), rate=RATE), deps)
