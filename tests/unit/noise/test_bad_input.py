"""Degenerate sound on one or both microphones: predictions stay finite, and silence is never an alarm."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from anc.noise import LABELS, Classifier, MultichannelClassifier, Prediction, classify_channels
from anc.pcm import float_to_int16
from anc.ports import Dependencies
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import Audio, Start, encode_pcm
from anc.services.sound import detection, sessions
from anc.services.sound.streaming import filter_block
from tests.fakes import ALICE, FakePlatform
from tools.cli import classify as command

RATE = 8_000
N = int(1.3 * RATE)
CLASSIFIER = Classifier.load()
NOISE = 0.1 * np.random.default_rng(0).standard_normal(N)
QUIET = {
    "silence": np.zeros(N),
    "dc": np.full(N, 0.5),
    "full-scale dc": np.full(N, -1.0),
    "denormal": np.full(N, 5e-324),
    "one bit": np.resize([0.0, 1 / 32768], N),
}
LOUD = {
    "clipped noise": np.clip(50 * NOISE, -1, 1),
    "square wave": np.sign(np.sin(np.arange(N) * 0.1)),
    "alternating full scale": np.resize([1.0, -1.0], N),
    "impulse": np.eye(1, N, N // 2)[0],
    "dc step": np.repeat([-1.0, 1.0], N // 2),
}


def check(predictions: list[Prediction]) -> None:
    assert predictions
    for one in predictions:
        assert one.label in LABELS
        assert sum(one.probabilities.values()) == pytest.approx(1)
        assert np.isfinite([one.confidence, one.emergency_score, one.level_dbfs]).all()


@pytest.mark.parametrize("name", [*QUIET, *LOUD])
def test_degenerate_sound_is_classified_alone_and_beside_noise(name: str) -> None:
    x = (QUIET | LOUD)[name]
    for channels in (np.stack([x, NOISE], axis=1), np.stack([x, -x], axis=1)):
        check([classify_channels(CLASSIFIER, channels, RATE)])
        check(MultichannelClassifier(CLASSIFIER, RATE, 2).process(channels))


@pytest.mark.parametrize("name", QUIET)
def test_silence_and_constants_are_quiet_and_no_emergency_beside_any_noise(name: str) -> None:
    alone = classify_channels(CLASSIFIER, QUIET[name], RATE)
    assert (alone.label, alone.emergency) == ("quiet", False)
    beside = classify_channels(CLASSIFIER, np.stack([QUIET[name], NOISE], axis=1), RATE)
    noise = classify_channels(CLASSIFIER, NOISE, RATE)
    assert (beside.label, beside.emergency) == (noise.label, noise.emergency), (
        "the dead microphone is ignored"
    )
    assert beside.confidence == pytest.approx(noise.confidence)


@pytest.mark.parametrize("name", [*QUIET, *LOUD])
def test_a_snapshot_of_degenerate_sound_is_classified(name: str, deps: Dependencies) -> None:
    x = (QUIET | LOUD)[name][:RATE]
    pcm = float_to_int16(np.stack([x, NOISE[: x.size]], axis=1))
    found = detection.detect_in_snapshot(Snapshot(1, RATE, x.size, "", pcm=pcm), deps)
    assert found.noise is not None
    assert not found.emergency.reason or found.kind


def test_a_session_with_a_damaged_state_fails_open_for_one_block_and_detects_again(
    platform: FakePlatform,
) -> None:
    deps = platform.deps
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, deps).key
    pcm = float_to_int16(np.stack([NOISE, NOISE], axis=1))

    def send(seq: int) -> bool:
        answer = filter_block(Audio(session=session, seq=seq, pcm=encode_pcm(pcm[:4000])), ALICE, deps)
        return answer.emergency.active and answer.emergency.reason == detection.DETECTION_FAILED

    assert not send(0)
    stream = deps.streams.get(session)
    assert stream is not None
    deps.session_cache.discard(session)
    deps.streams.put(stream.replace(classifier_state=stream.classifier_state[:-7]))
    assert [send(1), send(2)] == [True, False]


class TenHours:
    """A file of ten hours, whose samples exist only while they are read."""

    rate, channels, note = RATE, 2, ""

    def __init__(self) -> None:
        self._left = 10 * 3600 * RATE

    @property
    def ended(self) -> bool:
        return self._left == 0

    def read_channels(self, frames: int) -> np.ndarray:
        frames = min(frames, self._left)
        self._left -= frames
        return np.broadcast_to(np.float32(0), (frames, self.channels))

    def __enter__(self) -> "TenHours":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def ten_hours(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the number of samples of each part of a file of ten hours that is classified."""
    sizes: list[int] = []
    quiet = classify_channels(CLASSIFIER, QUIET["silence"], RATE)
    monkeypatch.setattr(command, "open_path", lambda path: TenHours())
    monkeypatch.setattr(command, "classify_channels", lambda c, x, rate: sizes.append(len(x)) or quiet)
    return sizes


def test_a_file_of_ten_hours_is_classified_minute_by_minute(ten_hours: list[int]) -> None:
    results = list(command.classify_files([Path("long.wav")], Console(quiet=True)))
    assert ten_hours == [60 * RATE] * 600
    assert [result["start_s"] for result in results] == [60 * k for k in range(600)]
