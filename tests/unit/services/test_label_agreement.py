"""The same sound has the same noise label everywhere, and it does not change from moment to moment."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from anc.noise import Classifier, StreamingClassifier
from anc.noise.classifier import KINDS, LABELS
from anc.noise.features import log_mel
from anc.pcm import float_to_int16
from anc.ports import Dependencies
from anc.records import Options
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import Audio, Start, encode_pcm
from anc.services.sound import detection, file_detection, sessions
from anc.services.sound.recordings import process_short
from anc.services.sound.streaming import filter_block
from tests.fakes import ALICE
from tests.recordings import sound_file
from tests.untrained_models import patch_predictions
from tools.cli.classify import classify_files

RATE, SECONDS = 16_000, 8


def undecided(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predict road for five windows of six, and weather for one, with little confidence."""
    probabilities = np.full((len(views), len(LABELS)), 0.01)
    for row, view in zip(probabilities, views, strict=True):
        first, second = ("road", "weather") if zlib.crc32(view.tobytes()) % 6 else ("weather", "road")
        row[LABELS.index(first)], row[LABELS.index(second)] = 0.5, 0.41
    return probabilities, np.zeros((len(views), len(KINDS)))


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    patch_predictions(monkeypatch, undecided)
    x = 0.1 * np.random.default_rng(4).standard_normal(SECONDS * RATE)
    alone = StreamingClassifier(Classifier.load(), RATE).process(x)
    assert {one.label for one in alone} == {"road", "weather"}, "single windows disagree"
    return x


def test_all_interfaces_give_one_label(sound: np.ndarray, deps: Dependencies, tmp_path: Path) -> None:
    data = sound_file(np.stack([sound, 0.5 * sound], axis=1), rate=RATE)
    file = tmp_path / "noise.wav"
    file.write_bytes(data)
    (command_line,) = classify_files([file], Console(quiet=True))
    rest = file_detection.classify_file(data, deps)
    _, report = process_short(data, Options(mode="classify"), deps)
    assert {command_line["label"], rest["label"], report.summary()["noise"]} == {"road"}
    assert command_line["confidence"] == pytest.approx(rest["confidence"], abs=1e-4)


def test_a_live_session_and_the_snapshots_of_a_headset_keep_that_label(
    sound: np.ndarray, deps: Dependencies
) -> None:
    pcm = float_to_int16(np.stack([sound, sound], axis=1))
    session = sessions.open_session(Start(rate=RATE, taps=16), ALICE, deps).key
    live = []
    for seq, block in enumerate(np.split(pcm, 4 * SECONDS)):
        answer = filter_block(Audio(session=session, seq=seq, pcm=encode_pcm(block)), ALICE, deps)
        live.append(answer.noise.label if answer.noise else None)
    evidence, headset = b"", []
    for seq, block in enumerate(np.split(pcm, SECONDS)):
        found = detection.detect_in_snapshot(Snapshot(seq, RATE, RATE, "", pcm=block), deps, evidence, 15.0)
        evidence = found.state
        headset.append(found.noise.label if found.noise else None)
    assert set(live[8:]) == {"road"}
    assert set(headset[2:]) == {"road"}


def test_the_first_snapshot_of_a_new_noise_forgets_the_noise_before(
    monkeypatch: pytest.MonkeyPatch, deps: Dependencies
) -> None:
    def by_level(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict road, certainly, for loud sound, and aircraft, hardly, for soft sound."""
        probabilities = np.full((len(views), len(LABELS)), 0.01)
        for row, view in zip(probabilities, views, strict=True):
            label, probability = ("road", 0.9) if view.mean() > threshold else ("aircraft", 0.3)
            row[LABELS.index(label)] = probability
        return probabilities / probabilities.sum(axis=1, keepdims=True), np.zeros((len(views), len(KINDS)))

    noise = 0.1 * np.random.default_rng(4).standard_normal((RATE, 2))
    loud, soft = float_to_int16(noise), float_to_int16(0.1 * noise)
    threshold = np.mean([log_mel(pcm[:, 0], RATE).mean() for pcm in (loud, soft)])
    patch_predictions(monkeypatch, by_level)
    evidence, labels = b"", []
    lengths = ((loud, RATE), (loud, RATE), (soft, RATE // 4), (soft, RATE // 2))
    for seq, (pcm, n) in enumerate(lengths):
        found = detection.detect_in_snapshot(Snapshot(seq, RATE, n, "", pcm=pcm[:n]), deps, evidence, 1.0)
        evidence = found.state
        labels.append(found.noise.label if found.noise else None)
    assert labels == ["road", "road", "aircraft", "aircraft"]
