"""What is heard in a recording, and when: spans of noise, and of alarms."""

from typing import Self

import msgspec
import numpy as np

from anc.noise import Classifier, Prediction, StreamingClassifier
from anc.noise.features import COLUMNS_PER_SECOND, HOP, WINDOW

WINDOW_S, HOP_S = WINDOW / COLUMNS_PER_SECOND, HOP / COLUMNS_PER_SECOND


class NoiseSpan(msgspec.Struct):
    """A stretch of one kind of noise; confidence is the mean over it."""

    from_s: float
    to_s: float
    label: str
    confidence: float


class AlarmSpan(msgspec.Struct):
    """A stretch in which a siren, horn or alarm was heard; `score` is the largest, `kind` that one's."""

    from_s: float
    to_s: float
    kind: str
    score: float


class _State(msgspec.Struct):
    classifier_stream: bytes
    predictions: int
    noise: list[NoiseSpan]
    alarms: list[AlarmSpan]


class Timeline:
    """Spans of noise and alarms in one channel, heard block by block.

    Parameters
    ----------
    classifier : Classifier
    rate : int
        Hz.
    """

    def __init__(self, classifier: Classifier, rate: int) -> None:
        self.noise: list[NoiseSpan] = []
        self.alarms: list[AlarmSpan] = []
        self._listener = StreamingClassifier(classifier, rate)
        self._hearings = 0

    def process(self, block: np.ndarray) -> None:
        """Take the next samples, (n,) within [-1, 1]."""
        for prediction in self._listener.process(block):
            end = WINDOW_S + HOP_S * self._hearings
            begin = end - HOP_S if self._hearings else 0.0
            self._hearings += 1
            self._note_noise(prediction, begin, end)
            if prediction.emergency:
                self._note_alarm(prediction, begin, end)

    def _note_noise(self, prediction: Prediction, begin: float, end: float) -> None:
        if self.noise and self.noise[-1].label == prediction.label:
            span = self.noise[-1]
            heard_s = span.to_s - span.from_s
            span.confidence += (prediction.confidence - span.confidence) * HOP_S / (heard_s + HOP_S)
            span.to_s = end
        else:
            self.noise.append(NoiseSpan(begin, end, prediction.label, prediction.confidence))

    def _note_alarm(self, prediction: Prediction, begin: float, end: float) -> None:
        kind = max(prediction.kinds, key=prediction.kinds.__getitem__)
        if not self.alarms or self.alarms[-1].to_s < begin:
            self.alarms.append(AlarmSpan(begin, end, kind, prediction.emergency_score))
            return
        span = self.alarms[-1]
        span.to_s = end
        if prediction.emergency_score > span.score:
            span.kind, span.score = kind, prediction.emergency_score

    def state(self) -> bytes:
        """Everything heard, as bytes: `from_state` hears on as if never stored."""
        return msgspec.msgpack.encode(_State(self._listener.state(), self._hearings, self.noise, self.alarms))

    @classmethod
    def from_state(cls, classifier: Classifier, rate: int, state: bytes) -> Self:
        """Return the timeline that `state` was taken from; ValueError if the bytes are no timeline's."""
        kept = msgspec.msgpack.decode(state, type=_State)
        timeline = cls(classifier, rate)
        timeline.noise, timeline.alarms, timeline._hearings = kept.noise, kept.alarms, kept.predictions
        timeline._listener = StreamingClassifier.from_state(classifier, kept.classifier_stream)
        return timeline
