"""Time spans of noise classes and alarms in a recording."""

from typing import Self

import msgspec
import numpy as np

from anc.noise import Classifier, MultichannelClassifier, Prediction
from anc.noise.channels import HOP_S, WINDOW_S


class NoiseSpan(msgspec.Struct):
    """A time span of one noise class; `confidence` is the mean over the span."""

    from_s: float
    to_s: float
    label: str
    confidence: float


class AlarmSpan(msgspec.Struct):
    """A time span with an alarm; `score` is the largest in the span, `kind` the kind at that score."""

    from_s: float
    to_s: float
    kind: str
    score: float


class _State(msgspec.Struct):
    classifier: bytes = msgspec.field(name="listener")
    predictions: int = msgspec.field(name="hearings")
    noise: list[NoiseSpan]
    alarms: list[AlarmSpan]


class Timeline:
    """Classify all channels block by block into spans of noise and alarms.

    Parameters
    ----------
    classifier : Classifier
    rate : int
        Hz.
    channels : int
    """

    def __init__(self, classifier: Classifier, rate: int, channels: int = 1) -> None:
        self.noise: list[NoiseSpan] = []
        self.alarms: list[AlarmSpan] = []
        self._classifier = MultichannelClassifier(classifier, rate, channels)
        self._predictions = 0

    def process(self, block: np.ndarray) -> None:
        """Process the next samples, (n, channels) within [-1, 1]."""
        for prediction in self._classifier.process(block):
            end = WINDOW_S + HOP_S * self._predictions
            begin = end - HOP_S if self._predictions else 0.0
            self._predictions += 1
            self._add_noise(prediction, begin, end)
            if prediction.emergency:
                self._add_alarm(prediction, begin, end)

    def _add_noise(self, prediction: Prediction, begin: float, end: float) -> None:
        if self.noise and self.noise[-1].label == prediction.label:
            span = self.noise[-1]
            length_s = span.to_s - span.from_s
            span.confidence += (prediction.confidence - span.confidence) * HOP_S / (length_s + HOP_S)
            span.to_s = end
        else:
            self.noise.append(NoiseSpan(begin, end, prediction.label, prediction.confidence))

    def _add_alarm(self, prediction: Prediction, begin: float, end: float) -> None:
        kind = max(prediction.kinds, key=prediction.kinds.__getitem__)
        if not self.alarms or self.alarms[-1].to_s < begin:
            self.alarms.append(AlarmSpan(begin, end, kind, prediction.emergency_score))
            return
        span = self.alarms[-1]
        span.to_s = end
        if prediction.emergency_score > span.score:
            span.kind, span.score = kind, prediction.emergency_score

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues from it."""
        return msgspec.msgpack.encode(
            _State(self._classifier.state(), self._predictions, self.noise, self.alarms)
        )

    @classmethod
    def from_state(cls, classifier: Classifier, rate: int, channels: int, state: bytes) -> Self:
        """Restore a timeline from `state()`. Raises ValueError for other bytes."""
        kept = msgspec.msgpack.decode(state, type=_State)
        timeline = cls(classifier, rate, channels)
        timeline.noise, timeline.alarms, timeline._predictions = kept.noise, kept.alarms, kept.predictions
        timeline._classifier = MultichannelClassifier.from_state(classifier, kept.classifier, channels)
        return timeline
