"""Hear a stream, block by block, between blocks kept as bytes."""

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
    to_pcm,
    unpack,
)
from anc.sample_rates import MAX_RATE, MIN_RATE

HOLD = 40  # quarter seconds that an emergency is held after its last detection: 10 s
_HEADER = struct.Struct("<4sIBBBH")
_MAGIC = b"ANL1"


class StreamingClassifier:
    """Hears the last second of a stream every quarter second, the first time after the first second.

    An emergency needs two of the last three windows: one that fires by itself does not raise it.

    Parameters
    ----------
    classifier : Classifier
    rate : int
        Hz, 8,000 to 192,000.
    """

    def __init__(self, classifier: Classifier, rate: int) -> None:
        to_pcm(np.zeros(0), rate)
        self.classifier = classifier
        self.rate = rate
        self.latest: Prediction | None = None
        self._pcm = np.zeros(0, np.int16)  # not yet in a column
        self._picture: LogMelSpectrogram = np.zeros((0, BANDS), np.uint8)
        self._phase = 0  # number of the next column, modulo 48
        self._waiting = WINDOW  # columns until the next window is whole
        self._hold = 0
        self._scores = np.zeros((3, len(KINDS)), np.float16)  # of the last three windows

    @property
    def holding(self) -> bool:
        """Whether an emergency was heard within the last ten seconds of the stream."""
        return self._hold > 0

    def process(self, block: ArrayLike) -> list[Prediction]:
        """Take a block of any length; one `Hearing` for every quarter second that it completes.

        Parameters
        ----------
        block : (n,) array_like of float
            Mono in [-1, 1]. How a stream is cut into blocks changes nothing.

        Raises
        ------
        ValueError
            For another shape, or values that are not finite or out of range; the stream stays as it was.
        """
        pcm = to_pcm(block, self.rate)
        predictions: list[Prediction] = []
        for i in range(
            0, len(pcm), self.rate
        ):  # a second at a time: bounded memory for a block of any length
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
            self._picture = np.concatenate([self._picture, columns[: self._waiting]])[-WINDOW:]
            columns = columns[self._waiting :]
            self._waiting = HOP
            yield self._process_window()
        self._picture = np.concatenate([self._picture, columns])[-WINDOW:]
        self._waiting -= len(columns)

    def _process_window(self) -> Prediction:
        probabilities, scores = self.classifier.predict(self._picture[None])
        self._scores = np.concatenate([self._scores[1:], scores.astype(np.float16)])
        voted = np.median(self._scores.astype(np.float64), axis=0)
        self.latest = self.classifier.prediction(probabilities[0], voted, self._picture)
        self._hold = HOLD if self.latest.emergency else max(self._hold - 1, 0)
        return self.latest

    def state(self) -> bytes:
        """Everything needed to go on, about 4 kB at 16 kHz and 6 kB at 48 kHz."""
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
                pack(self._picture),
            ]
        )

    @classmethod
    def from_state(cls, classifier: Classifier, state: bytes) -> "StreamingClassifier":
        """Go on from `state` as if nothing had been stored: what is heard from here on is the same.

        Raises
        ------
        ValueError
            When the bytes are not a listener's state.
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
            raise ValueError(f"state: not a listener's: {error}") from None
        if magic != _MAGIC or not MIN_RATE <= rate <= MAX_RATE or held >= column_length(rate) + 1:
            raise ValueError("state: not a listener's")
        self = cls(classifier, rate)
        self._phase, self._waiting, self._hold = phase % COLUMNS_PER_SECOND, flags & 0x7F, hold
        self._scores = scores.reshape(3, len(KINDS)).copy()
        self._pcm = pcm.copy()
        self._picture = unpack(state[offset + pcm.nbytes :])
        if flags >> 7:
            values = latest.astype(np.float64)
            self.latest = classifier.prediction(
                values[: len(LABELS)], values[len(LABELS) : -1], self._picture
            )
        return self
