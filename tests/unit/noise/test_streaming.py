"""Streaming classification block by block, with stored states."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.noise import Classifier, Prediction, StreamingClassifier
from anc.noise.labels import average
from tests.untrained_models import random_model

CLASSIFIER = Classifier.load()
RATES = (8000, 16000, 22050, 44100, 48000)


def sound(seconds: float, rate: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(900 + 400 * np.sin(2 * np.pi * t / 2)) / rate
    return (0.2 * np.sin(phase) * (t > seconds / 2) + rng.normal(0, 0.05, len(t))).astype(np.float32)


def hear_in(blocks: list[np.ndarray], rate: int, stored: bool) -> list[Prediction]:
    classifier_stream = StreamingClassifier(CLASSIFIER, rate)
    predictions = []
    for block in blocks:
        predictions += classifier_stream.process(block)
        if stored:
            classifier_stream = StreamingClassifier.from_state(CLASSIFIER, classifier_stream.state())
    return predictions


def check_alike(some: list[Prediction], others: list[Prediction]) -> None:
    """Compare predictions up to rounding, which depends on how many windows the network sees at once."""
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert one.kinds == pytest.approx(other.kinds, abs=1e-4)
        assert one.level_dbfs == pytest.approx(other.level_dbfs)


@given(rate=st.sampled_from(RATES), seed=st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_predictions_do_not_depend_on_block_lengths_or_stored_states(rate: int, seed: int) -> None:
    x = sound(2.2, rate)
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(x), 20))
    whole = hear_in([x], rate, stored=False)
    check_alike(hear_in(np.split(x, cuts), rate, stored=True), whole)
    assert len(whole) == 5


@given(rate=st.sampled_from(RATES), hops=st.integers(2, 14), size=st.integers(400, 40_000))
@settings(max_examples=8, deadline=None)
def test_a_stream_and_the_whole_sound_give_the_same_prediction(rate: int, hops: int, size: int) -> None:
    x = sound(1 + 0.25 * hops + 1.5 / 48, rate)
    found = hear_in([x[i : i + size] for i in range(0, len(x), size)], rate, stored=True)
    whole = CLASSIFIER.classify(x, rate)
    kinds = {kind: max(one.kinds[kind] for one in found) for kind in whole.kinds}
    probabilities = average(np.array([list(one.probabilities.values()) for one in found]))
    assert len(found) == 1 + hops
    assert kinds == pytest.approx(whole.kinds, abs=1e-4)
    assert probabilities == pytest.approx(list(whole.probabilities.values()), abs=1e-4)


def test_a_sound_of_many_windows_is_judged_with_the_windows_before_each(tmp_path: Path) -> None:
    classifier = Classifier.load(random_model(tmp_path / "model.npz"))
    x = sound(18 + 1.5 / 48, 8000)  # 69 windows, more than are processed together
    whole = classifier.classify(x, 8000)
    found = StreamingClassifier(classifier, 8000).process(x)
    assert max(one.emergency_score for one in found) == pytest.approx(whole.emergency_score, abs=1e-4)
    later = StreamingClassifier(classifier, 8000).process(x[8 * 8000 :])
    assert later[3].kinds != pytest.approx(found[35].kinds, abs=1e-4), "it has heard one second less"
    assert later[-1].kinds == pytest.approx(found[-1].kinds, abs=1e-4)


def test_evidence_of_another_model_is_dropped(tmp_path: Path) -> None:
    x = sound(3, 16_000)
    before = StreamingClassifier(Classifier.load(random_model(tmp_path / "model.npz")), 16_000)
    before.process(x[:35_200])
    restored = StreamingClassifier.from_state(CLASSIFIER, before.state()).process(x[35_200:])
    fresh = StreamingClassifier(CLASSIFIER, 16_000).process(x[20_000:])  # from the next window on
    assert len(restored) >= 3
    check_alike(restored[2:], fresh[2:])


def test_a_state_of_the_previous_version_is_refused() -> None:
    with pytest.raises(ValueError, match="of this version"):
        StreamingClassifier.from_state(
            CLASSIFIER, b"ANL1" + StreamingClassifier(CLASSIFIER, 16_000).state()[4:]
        )


@pytest.mark.parametrize(("rate", "most"), [(16000, 5000), (48000, 7100)])
def test_the_state_is_small(rate: int, most: int) -> None:
    classifier_stream = StreamingClassifier(CLASSIFIER, rate)
    for i in range(0, 3 * rate, 1024):
        classifier_stream.process(sound(3, rate)[i : i + 1024])
        assert len(classifier_stream.state()) <= most


def test_a_stream_gives_one_prediction_per_quarter_second_after_the_first_second() -> None:
    classifier_stream = StreamingClassifier(CLASSIFIER, 16000)
    counts = [len(classifier_stream.process(sound(3, 16000)[i : i + 4000])) for i in range(0, 48000, 4000)]
    assert counts == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]


def test_a_stream_and_a_clip_give_the_same_prediction() -> None:
    x = sound(1.03, 16000)
    [prediction] = StreamingClassifier(CLASSIFIER, 16000).process(x)
    clip = CLASSIFIER.classify(x, 16000)
    assert prediction.probabilities == pytest.approx(clip.probabilities, abs=1e-5)


def test_a_siren_is_an_emergency_within_two_seconds_of_its_onset() -> None:
    x = sound(6, 16000)
    predictions = StreamingClassifier(CLASSIFIER, 16000).process(x)
    fired = [1.02 + 0.25 * i for i, prediction in enumerate(predictions) if prediction.emergency]
    assert fired
    assert 3 <= fired[0] <= 5


def test_invalid_samples_are_refused_and_the_stream_is_unchanged() -> None:
    classifier_stream = StreamingClassifier(CLASSIFIER, 16000)
    classifier_stream.process(sound(1.5, 16000))
    before = classifier_stream.state()
    for bad in (np.full(100, np.nan), np.zeros((2, 100)), np.zeros(100, np.int16)):
        with pytest.raises(ValueError, match="samples"):
            classifier_stream.process(bad)
    assert classifier_stream.state() == before


@given(st.binary(max_size=400))
@settings(max_examples=50, deadline=None)
def test_invalid_states_are_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r"state|summary"):
        StreamingClassifier.from_state(CLASSIFIER, junk)


@given(st.integers(0, 200), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_damaged_state_is_refused_or_works(at: int, flip: int) -> None:
    classifier_stream = StreamingClassifier(CLASSIFIER, 16000)
    classifier_stream.process(sound(1.3, 16000))
    state = bytearray(classifier_stream.state())
    state[at] ^= flip
    try:
        again = StreamingClassifier.from_state(CLASSIFIER, bytes(state))
    except ValueError:
        return
    again.process(sound(0.5, 16000))
