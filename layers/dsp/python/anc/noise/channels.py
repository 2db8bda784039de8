"""Classify sound of several channels: an alarm in any of them counts; channels are never averaged.

The mean of two channels in antiphase is silence, so channels are never mixed before detection. A channel that
equals another one, or its inverse, is classified once.
"""

import copy
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.noise.classifier import KINDS, LABELS, Classifier, Prediction
from anc.noise.features import COLUMNS_PER_SECOND, HOP, WINDOW, quantise
from anc.noise.labels import LabelEvidence, average
from anc.noise.streaming import StreamingClassifier, process_together

MAX_CHANNELS = 8
WINDOW_S, HOP_S = WINDOW / COLUMNS_PER_SECOND, HOP / COLUMNS_PER_SECOND
_MAGIC = b"ANM1"
_HEADER = struct.Struct("<4sBBB")  # magic, channels, streams, bytes of the label evidence


def classify_channels(classifier: Classifier, samples: ArrayLike, rate: int) -> Prediction:
    """Classify a sound of one or several channels.

    Parameters
    ----------
    classifier : Classifier
    samples : (n, channels) or (n,) array_like of float
        As for `Classifier.classify`, at most eight channels.
    rate : int
        Hz.

    Returns
    -------
    Prediction
        The scores are those of the channel in which an alarm is most evident; the label is that of all
        channels together; the level is that of the loudest.

    Raises
    ------
    ValueError
        As `Classifier.classify`.

    Examples
    --------
    >>> classify_channels(Classifier.load(), np.zeros((16_000, 2)), 16_000).label
    'quiet'
    """
    return worst(list(classify_each(classifier, samples, rate).values()))


def classify_each(classifier: Classifier, samples: ArrayLike, rate: int) -> dict[int, Prediction]:
    """Classify the channels that differ; return the predictions by channel. See `classify_channels`."""
    channels = _columns(samples)
    return {i: classifier.classify(channels[:, i], rate) for i in distinct(channels)}


def distinct(samples: NDArray[np.floating]) -> list[int]:
    """Return the indices of the channels of (n, channels) that differ from all earlier ones, sign aside.

    Examples
    --------
    >>> distinct(np.array([[0.1, -0.1, 0.3], [0.2, -0.2, 0.3]]))
    [0, 2]
    """
    found: list[int] = []
    for i in range(samples.shape[1]):
        if not any(_alike(samples, i, j) for j in found):
            found.append(i)
    return found


def worst(predictions: Sequence[Prediction]) -> Prediction:
    """Return one prediction for simultaneous channels; see `classify_channels`."""
    if len(predictions) == 1:
        return predictions[0]
    probabilities = average(np.array([list(one.probabilities.values()) for one in predictions]))
    best = int(np.argmax(probabilities))
    return Prediction(
        label=LABELS[best],
        confidence=float(probabilities[best]),
        probabilities=dict(zip(LABELS, probabilities.tolist(), strict=True)),
        emergency=any(one.emergency for one in predictions),
        emergency_score=max(one.emergency_score for one in predictions),
        kinds={kind: max(one.kinds[kind] for one in predictions) for kind in KINDS},
        level_dbfs=max(one.level_dbfs for one in predictions),
    )


class MultichannelClassifier:
    """Classify all channels of a stream every quarter second, with a label that is smoothed over time.

    Channels that have been alike since the start share one `StreamingClassifier`; the network runs once for
    all streams. An emergency is detected in each channel on its own: in two of its last three windows.

    Parameters
    ----------
    classifier : Classifier
    rate : int
        Hz, 8,000 to 192,000.
    channels : int
        1 to 8.

    Examples
    --------
    >>> stream = MultichannelClassifier(Classifier.load(), rate=16_000, channels=2)
    >>> [prediction.label for prediction in stream.process(np.zeros((24_000, 2)))]
    ['quiet', 'quiet']
    """

    def __init__(self, classifier: Classifier, rate: int, channels: int = 1) -> None:
        if not 1 <= channels <= MAX_CHANNELS:
            raise ValueError(f"channels: must be between 1 and {MAX_CHANNELS} (got {channels})")
        self.classifier = classifier
        self.rate = rate
        self.channels = channels
        self.latest: Prediction | None = None
        self._streams = [StreamingClassifier(classifier, rate)]
        self._stream_of = [0] * channels
        self._evidence = LabelEvidence()

    @property
    def holding(self) -> bool:
        """Whether an emergency was detected within the last ten seconds of any channel."""
        return any(stream.holding for stream in self._streams)

    def process(self, block: ArrayLike) -> list[Prediction]:
        """Process a block of any length; return one `Prediction` for each quarter second that it completes.

        Parameters
        ----------
        block : (n, channels) array_like of float, or (n,) for one channel
            In [-1, 1]. The result does not depend on the block lengths.

        Raises
        ------
        ValueError
            If the block has another shape, or values not finite or out of range. The state is unchanged.
        """
        columns = _columns(block)
        if columns.shape[1] != self.channels:
            raise ValueError(f"samples: must have {self.channels} channels (got {columns.shape[1]})")
        pcm = quantise(columns.reshape(-1), self.rate).reshape(columns.shape)
        self._separate(columns)
        sources = [self._stream_of.index(i) for i in range(len(self._streams))]
        found = process_together(self._streams, [pcm[:, source] for source in sources])
        return [self._smoothed(worst(together)) for together in found]

    def _separate(self, columns: NDArray[np.floating]) -> None:
        """Give channels that shared a stream, and differ in this block, streams of their own."""
        for i in range(1, self.channels):
            shared = self._stream_of[i]
            leader = self._stream_of.index(shared)
            if leader == i or _alike(columns, leader, i):
                continue
            self._streams.append(copy.copy(self._streams[shared]))  # streams replace their arrays
            for k in range(i, self.channels):
                if self._stream_of[k] == shared and _alike(columns, i, k):
                    self._stream_of[k] = len(self._streams) - 1

    def _smoothed(self, prediction: Prediction) -> Prediction:
        probabilities = np.array(list(prediction.probabilities.values()))
        seconds = HOP_S if self.latest else WINDOW_S
        self._evidence, averaged = self._evidence.updated(probabilities, seconds)
        self.latest = labelled(prediction, self._evidence, averaged)
        return self.latest

    def state(self) -> bytes:
        """Return the complete state as bytes, about 4 kB for each different channel at 16 kHz."""
        evidence = self._evidence.to_bytes()
        states = [stream.state() for stream in self._streams]
        return b"".join(
            [
                _HEADER.pack(_MAGIC, self.channels, len(states), len(evidence)),
                bytes(self._stream_of),
                evidence,
                *(struct.pack("<I", len(state)) + state for state in states),
            ]
        )

    @classmethod
    def from_state(cls, classifier: Classifier, state: bytes, channels: int = 1) -> "MultichannelClassifier":
        """Restore a classifier from `state()`. Its further predictions are the same.

        Raises
        ------
        ValueError
            If the bytes are not a valid state for that number of channels.
        """
        try:
            magic, stored, count, size = _HEADER.unpack_from(state)
            offset = _HEADER.size
            stream_of = list(state[offset : offset + stored])
            offset += stored
            evidence = LabelEvidence.from_bytes(state[offset : offset + size])
            parts = list(_parts(state, offset + size, count))
        except struct.error as error:
            raise ValueError(f"state: not a state of a multichannel classifier: {error}") from None
        if magic != _MAGIC or stored != channels or sorted(set(stream_of)) != list(range(count)):
            raise ValueError(f"state: not a state of a classifier of {channels} channels")
        streams = [StreamingClassifier.from_state(classifier, part) for part in parts]
        if len({stream.position for stream in streams}) != 1:
            raise ValueError("state: streams of different rates or positions")
        self = cls(classifier, streams[0].rate, channels)
        self._streams, self._stream_of, self._evidence = streams, stream_of, evidence
        latest = [stream.latest for stream in streams if stream.latest]
        self.latest = worst(latest) if latest else None
        if self.latest and self.latest.probabilities["quiet"] < 0.5 and evidence.log_probabilities:
            self.latest = labelled(self.latest, evidence, evidence.probabilities)
        return self


def labelled(prediction: Prediction, evidence: LabelEvidence, averaged: NDArray[np.float64]) -> Prediction:
    """Return a prediction with the label that the evidence gives it."""
    label = evidence.label if evidence.label >= 0 else int(np.argmax(averaged))
    return replace(
        prediction,
        label=LABELS[label],
        confidence=float(averaged[label]),
        probabilities=dict(zip(LABELS, averaged.tolist(), strict=True)),
    )


def _parts(state: bytes, offset: int, count: int) -> Iterator[bytes]:
    for _ in range(count):
        (size,) = struct.unpack_from("<I", state, offset)
        yield state[offset + 4 : offset + 4 + size]
        offset += 4 + size


def _columns(samples: ArrayLike) -> NDArray[np.floating]:
    columns = np.asarray(samples)
    if columns.ndim == 1:
        columns = columns[:, None]
    if columns.ndim != 2 or not 1 <= columns.shape[1] <= MAX_CHANNELS:
        raise ValueError(
            f"samples: must have the shape (n, channels), 1 to {MAX_CHANNELS} channels "
            f"(got shape {columns.shape})"
        )
    return columns


def _alike(samples: NDArray[np.floating], i: int, j: int) -> bool:
    one, other = samples[:, i], samples[:, j]
    return np.array_equal(one, other) or np.array_equal(one, -other)
