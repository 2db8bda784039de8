"""Streaming classification block by block, with stored states."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.noise import Classifier, Prediction, StreamingClassifier

CLASSIFIER = Classifier.load()


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


@given(rate=st.sampled_from([8000, 16000, 44100, 48000]), seed=st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_predictions_do_not_depend_on_block_lengths_or_stored_states(rate: int, seed: int) -> None:
    x = sound(2.2, rate)
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(x), 20))
    whole = hear_in([x], rate, stored=False)
    assert hear_in(np.split(x, cuts), rate, stored=True) == whole
    assert len(whole) == 5


@pytest.mark.parametrize(("rate", "most"), [(16000, 5000), (48000, 6400)])
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
