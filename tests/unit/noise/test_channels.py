"""Several channels: each is classified, the worst counts, and labels are smoothed over time."""

import struct

import numpy as np
import pytest

from anc.noise import Classifier, MultichannelClassifier, Prediction, StreamingClassifier
from anc.noise.channels import classify_channels, distinct
from anc.noise.labels import LabelEvidence, average
from tests.alarms import siren

RATE = 16_000
CLASSIFIER = Classifier.load()


def noise(seconds: float, level: float = 0.05, seed: int = 1) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(int(seconds * RATE))


ALARM = siren(3.0, RATE) + noise(3.0, 0.01)
CHANNELS = {
    "in antiphase": np.stack([ALARM, -ALARM], axis=1),
    "in the second channel": np.stack([noise(3.0), ALARM], axis=1),
    "in one of five": np.stack([*(noise(3.0, seed=k) for k in range(4)), ALARM], axis=1),
    "delayed by half a period": np.stack([ALARM, np.roll(ALARM, 9)], axis=1),
}


def in_blocks(channels: np.ndarray, sizes: list[int], stored: bool = False) -> list[Prediction]:
    stream = MultichannelClassifier(CLASSIFIER, RATE, channels.shape[1])
    found = []
    for block in np.split(channels, np.cumsum(sizes)):
        found += stream.process(block)
        if stored:
            stream = MultichannelClassifier.from_state(CLASSIFIER, stream.state(), channels.shape[1])
    return found


@pytest.mark.parametrize("where", CHANNELS)
def test_an_alarm_in_any_channel_is_an_emergency(where: str) -> None:
    channels = CHANNELS[where]
    assert classify_channels(CLASSIFIER, channels, RATE).emergency
    assert in_blocks(channels, [RATE])[-1].emergency


def test_channels_that_are_alike_are_classified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    analyse = CLASSIFIER.analyse
    monkeypatch.setattr(CLASSIFIER, "analyse", lambda views: calls.append(len(views)) or analyse(views))
    x = noise(1.1)
    classify_channels(CLASSIFIER, np.stack([x, x, -x, x], axis=1), RATE)
    in_blocks(np.stack([x, -x], axis=1), [4000])
    in_blocks(np.stack([x, noise(1.1, seed=2)], axis=1), [4000])
    assert calls == [1, 1, 2], "different channels are processed together"
    assert distinct(np.stack([x, -x, 2 * x, x], axis=1)) == [0, 2]


def test_the_result_depends_neither_on_block_lengths_nor_on_stored_states() -> None:
    x, other = noise(2.2), noise(2.2, seed=2)
    other[:20_000] = x[:20_000]  # the channels differ in the middle of a block
    channels = np.stack([x, other, -other], axis=1)
    whole = in_blocks(channels, [])
    assert len(whole) == 5
    for one, other in zip(in_blocks(channels, [15_000, 7000, 3000, 400], stored=True), whole, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert one.kinds == pytest.approx(other.kinds, abs=1e-4)


def test_a_restored_stream_has_the_same_latest_prediction() -> None:
    stream = MultichannelClassifier(CLASSIFIER, RATE, 2)
    stream.process(np.stack([noise(1.3), noise(1.3, 0.2, 3)], axis=1))
    again = MultichannelClassifier.from_state(CLASSIFIER, stream.state(), 2)
    assert stream.latest is not None
    assert again.latest is not None
    assert again.latest.label == stream.latest.label
    assert again.latest.probabilities == pytest.approx(stream.latest.probabilities, abs=1e-4)


@pytest.mark.parametrize("where", CHANNELS)
def test_a_channel_is_judged_as_if_it_were_alone(where: str) -> None:
    channels = CHANNELS[where]
    together = in_blocks(channels, [5000])
    alone = [in_blocks(channels[:, [i]], [9000]) for i in range(channels.shape[1])]
    for one, others in zip(together, zip(*alone, strict=True), strict=True):
        assert one.emergency_score == pytest.approx(max(o.emergency_score for o in others), abs=1e-4)


def test_streams_of_different_positions_are_refused() -> None:
    streams = [StreamingClassifier(CLASSIFIER, RATE) for _ in range(2)]
    streams[1].process(noise(0.1))
    states = b"".join(struct.pack("<I", len(state)) + state for state in (s.state() for s in streams))
    with pytest.raises(ValueError, match="positions"):
        MultichannelClassifier.from_state(CLASSIFIER, b"ANM1\2\2\0\0\1" + states, 2)


@pytest.mark.parametrize(
    "damage", [b"ANM1", b"ANM1\2\1\0\0\0", b"ANM1\2\1\0\0\0\1\0\0\0x", b"ANM1\2\2\1\0\1\0"]
)
def test_a_damaged_state_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match=r"state|evidence"):
        MultichannelClassifier.from_state(CLASSIFIER, damage, 2)


@pytest.mark.parametrize(
    "bad", [np.zeros((100, 3)), np.zeros(100), np.full((100, 2), np.nan), np.zeros((0, 9))]
)
def test_invalid_blocks_are_refused_and_the_stream_is_unchanged(bad: np.ndarray) -> None:
    stream = MultichannelClassifier(CLASSIFIER, RATE, 2)
    stream.process(np.stack([noise(0.5), noise(0.5, seed=2)], axis=1))
    before = stream.state()
    with pytest.raises(ValueError, match="samples"):
        stream.process(bad)
    assert stream.state() == before


def certain(label: int, probability: float = 0.9) -> np.ndarray:
    probabilities = np.full(5, (1 - probability) / 4)
    probabilities[label] = probability
    return probabilities


def labels_of(*sounds: np.ndarray) -> list[int]:
    evidence, found = LabelEvidence(), []
    for sound in sounds:
        evidence, _ = evidence.updated(sound, 0.25)
        found.append(evidence.label)
    return found


def test_a_label_does_not_change_for_a_single_window() -> None:
    assert labels_of(*[certain(1, 0.5)] * 8, certain(2), *[certain(1, 0.5)] * 3) == [1] * 12


def test_a_label_changes_within_two_seconds_of_another_noise() -> None:
    assert labels_of(*[certain(1)] * 40, *[certain(2)] * 8)[-1] == 2


def test_a_coin_flip_between_two_labels_keeps_the_first() -> None:
    assert set(labels_of(*[certain(1, 0.41), certain(2, 0.42)] * 20)) == {1}


def test_quiet_is_no_evidence_for_a_noise() -> None:
    quiet = certain(4, 0.99)
    assert labels_of(certain(1), quiet, certain(2)) == [1, -1, 2]
    assert np.argmax(average(np.array([certain(1), quiet, quiet]))) == 1


def test_evidence_fades_while_no_sound_is_heard() -> None:
    evidence, _ = LabelEvidence().updated(certain(1), 2.0)
    later, _ = evidence.updated(certain(2, 0.6), 0.25, gap_s=3600.0)
    assert (evidence.updated(certain(2, 0.6), 0.25)[0].label, later.label) == (1, 2)


def test_evidence_is_stored_exactly() -> None:
    evidence, averaged = LabelEvidence().updated(certain(3), 0.7)
    assert evidence.probabilities == pytest.approx(averaged)
    assert LabelEvidence.from_bytes(evidence.to_bytes()) == evidence
    assert LabelEvidence.from_bytes(b"") == LabelEvidence()
    with pytest.raises(ValueError, match="evidence"):
        LabelEvidence.from_bytes(evidence.to_bytes()[:-1])
