"""Classify a stream block by block, with a state that is stored as bytes between blocks."""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.noise.classifier import KINDS, LABELS, Classifier, Prediction
from anc.noise.features import (
    BANDS,
    COLUMNS_PER_SECOND,
    HOP,
    WINDOW,
    LogMelSpectrogram,
    column_length,
    log_mel,
    pack,
    quantise,
    unpack,
)
from anc.sample_rates import MAX_RATE, MIN_RATE

HOLD_HOPS = 40  # quarter seconds that an emergency lasts after its last detection: 10 s
_HEADER = struct.Struct("<4sIBBBH")
_MAGIC = b"ANL1"


class StreamingClassifier:
    """Classify the last second of a stream every quarter second, starting after the first second.

    An emergency must be detected in two of the last three windows.

    Parameters
    ----------
    classifier : Classifier
    rate : int
        Hz, 8,000 to 192,000.

    Examples
    --------
    >>> stream = StreamingClassifier(Classifier.load(), rate=16_000)
    >>> [prediction.label for prediction in stream.process(np.zeros(24_000))]
    ['quiet', 'quiet']
    """

    def __init__(self, classifier: Classifier, rate: int) -> None:
        quantise(np.zeros(0), rate)
        self.classifier = classifier
        self.rate = rate
        self.latest: Prediction | None = None
        self._pcm = np.zeros(0, np.int16)  # samples that do not fill a column yet
        self._spectrogram: LogMelSpectrogram = np.zeros((0, BANDS), np.uint8)
        self._phase = 0  # number of the next column, modulo 48
        self._waiting = WINDOW  # columns missing until the next window is complete
        self._hold = 0
        self._scores = np.zeros((3, len(KINDS)), np.float16)  # of the last three windows

    @property
    def holding(self) -> bool:
        """Whether an emergency was detected within the last ten seconds of the stream."""
        return self._hold > 0

    def process(self, block: ArrayLike) -> list[Prediction]:
        """Process a block of any length; return one `Prediction` for each quarter second that it completes.

        Parameters
        ----------
        block : (n,) array_like of float
            Mono in [-1, 1]. The result does not depend on the block lengths.

        Raises
        ------
        ValueError
            If the block has another shape, or values not finite or out of range. The state is unchanged.
        """
        pcm = quantise(block, self.rate)
        predictions: list[Prediction] = []
        for i in range(0, len(pcm), self.rate):  # one second at a time bounds memory
            predictions.extend(self._process_second(pcm[i : i + self.rate]))
        return predictions

    def _process_second(self, pcm: NDArray[np.int16]) -> Iterator[Prediction]:
        self._pcm = np.concatenate([self._pcm, pcm])
        columns = log_mel(self._pcm, self.rate, self._phase)
        done = self._phase + len(columns)
        used = done * self.rate // COLUMNS_PER_SECOND - self._phase * self.rate // COLUMNS_PER_SECOND
        self._pcm = self._pcm[used:].copy()
        self._phase = done % COLUMNS_PER_SECOND
        while len(columns) >= self._waiting:
            self._spectrogram = np.concatenate([self._spectrogram, columns[: self._waiting]])[-WINDOW:]
            columns = columns[self._waiting :]
            self._waiting = HOP
            yield self._process_window()
        self._spectrogram = np.concatenate([self._spectrogram, columns])[-WINDOW:]
        self._waiting -= len(columns)

    def _process_window(self) -> Prediction:
        probabilities, scores = self.classifier.predict(self._spectrogram[None])
        self._scores = np.concatenate([self._scores[1:], scores.astype(np.float16)])
        voted = np.median(self._scores.astype(np.float64), axis=0)
        self.latest = self.classifier.to_prediction(probabilities[0], voted, self._spectrogram)
        self._hold = HOLD_HOPS if self.latest.emergency else max(self._hold - 1, 0)
        return self.latest

    def state(self) -> bytes:
        """Return the complete state as bytes, about 4 kB at 16 kHz and 6 kB at 48 kHz."""
        latest = np.zeros(len(LABELS) + len(KINDS) + 1, np.float64)
        if self.latest:
            latest[:] = [
                *self.latest.probabilities.values(),
                *self.latest.kinds.values(),
                self.latest.level_dbfs,
            ]
        flags = (self.latest is not None) << 7 | self._waiting
        return b"".join(
            [
                _HEADER.pack(_MAGIC, self.rate, self._phase, flags, self._hold, len(self._pcm)),
                self._scores.tobytes(),
                latest.astype(np.float32).tobytes(),
                self._pcm.tobytes(),
                pack(self._spectrogram),
            ]
        )

    @classmethod
    def from_state(cls, classifier: Classifier, state: bytes) -> "StreamingClassifier":
        """Restore a classifier from `state()`. Its further predictions are the same.

        Raises
        ------
        ValueError
            If the bytes are not a valid state.
        """
        try:
            magic, rate, phase, flags, hold, held = _HEADER.unpack_from(state)
            offset = _HEADER.size
            scores = np.frombuffer(state, np.float16, 3 * len(KINDS), offset)
            offset += scores.nbytes
            latest = np.frombuffer(state, np.float32, len(LABELS) + len(KINDS) + 1, offset)
            offset += latest.nbytes
            pcm = np.frombuffer(state, np.int16, held, offset)
        except (struct.error, ValueError) as error:
            raise ValueError(f"state: not a state of a streaming classifier: {error}") from None
        if magic != _MAGIC or not MIN_RATE <= rate <= MAX_RATE or held >= column_length(rate) + 1:
            raise ValueError("state: not a state of a streaming classifier")
        self = cls(classifier, rate)
        self._phase, self._waiting, self._hold = phase % COLUMNS_PER_SECOND, flags & 0x7F, hold
        self._scores = scores.reshape(3, len(KINDS)).copy()
        self._pcm = pcm.copy()
        self._spectrogram = unpack(state[offset + pcm.nbytes :])
        if flags >> 7:
            values = latest.astype(np.float64)
            self.latest = classifier.to_prediction(
                values[: len(LABELS)], values[len(LABELS) : -1], self._spectrogram
            )
        return self
