"""Classify a stream block by block, with a state that is stored as bytes between blocks."""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.noise.classifier import KINDS, LABELS, Analysis, Classifier, Prediction
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
# magic, model, rate, phase, flags, hold, samples, windows and values of the evidence of each
_HEADER = struct.Struct("<4s4sIBBBHBB")
_MAGIC = b"ANL2"
_LATEST = len(LABELS) + len(KINDS) + 1  # values of the latest prediction


class StreamingClassifier:
    """Classify the last second of a stream every quarter second, starting after the first second.

    Each window is judged with those before it, and an emergency must be detected in two of the last three.

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
        self._evidence = classifier.memory.empty  # of the windows before the next one
        self._scores = np.zeros((3, len(KINDS)), np.float32)  # of the last three windows

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
        return [prediction for [prediction] in process_together([self], [pcm])]

    @property
    def position(self) -> tuple[int, int, int]:
        """Rate, and place in second and window: equal for streams that complete windows together."""
        return self.rate, self._phase, self._waiting

    def complete_windows(self, pcm: NDArray[np.int16]) -> NDArray[np.uint8]:
        """Continue the spectrogram; return the windows that are complete now, (n, WINDOW, BANDS)."""
        pcm = np.concatenate([self._pcm, pcm])
        columns = log_mel(pcm, self.rate, self._phase)
        done = self._phase + len(columns)
        used = done * self.rate // COLUMNS_PER_SECOND - self._phase * self.rate // COLUMNS_PER_SECOND
        self._pcm = pcm[used:].copy()
        self._phase = done % COLUMNS_PER_SECOND
        spectrogram = np.concatenate([self._spectrogram, columns])
        ends = np.arange(len(self._spectrogram) + self._waiting, len(spectrogram) + 1, HOP)
        self._waiting += HOP * len(ends) - len(columns)
        self._spectrogram = spectrogram[-WINDOW:]
        return spectrogram[ends[:, None] + np.arange(-WINDOW, 0)]

    def judge(self, windows: Analysis) -> list[Prediction]:
        """Return predictions for the windows that `complete_windows` returned."""
        memory = self.classifier.memory
        scores = self.classifier.emergency_scores(windows, self._evidence).astype(np.float32)
        self._evidence = memory.keep(np.concatenate([self._evidence, windows.evidence]))
        predictions = []
        for i, probabilities in enumerate(windows.probabilities):
            self._scores = np.concatenate([self._scores[1:], scores[i : i + 1]])
            voted = np.sort(self._scores.astype(np.float64), axis=0)[1]  # the median, at a tenth of the cost
            self.latest = self.classifier.to_prediction(probabilities, voted, float(windows.level_dbfs[i]))
            self._hold = HOLD_HOPS if self.latest.emergency else max(self._hold - 1, 0)
            predictions.append(self.latest)
        return predictions

    def state(self) -> bytes:
        """Return the complete state as bytes, about 4 kB at 16 kHz and 5 kB at 48 kHz."""
        latest = np.zeros(_LATEST)
        if self.latest:
            latest[:] = [
                *self.latest.probabilities.values(),
                *self.latest.kinds.values(),
                self.latest.level_dbfs,
            ]
        flags = (self.latest is not None) << 7 | self._waiting
        return b"".join(
            [
                _HEADER.pack(
                    _MAGIC,
                    self._model,
                    self.rate,
                    self._phase,
                    flags,
                    self._hold,
                    len(self._pcm),
                    *self._evidence.shape,
                ),
                self._scores.tobytes(),
                latest.astype(np.float32).tobytes(),
                self._evidence.tobytes(),
                self._pcm.tobytes(),
                pack(self._spectrogram),
            ]
        )

    @property
    def _model(self) -> bytes:
        return bytes.fromhex(self.classifier.sha256[:8])

    @classmethod
    def from_state(cls, classifier: Classifier, state: bytes) -> "StreamingClassifier":
        """Restore a classifier from `state()`. Its further predictions are the same.

        Evidence that another model found is dropped, as at the start of a stream.

        Raises
        ------
        ValueError
            If the bytes are not a valid state.
        """
        try:
            magic, model, rate, phase, flags, hold, held, windows, size = _HEADER.unpack_from(state)
            offset = _HEADER.size
            scores = np.frombuffer(state, np.float32, 3 * len(KINDS), offset)
            offset += scores.nbytes
            latest = np.frombuffer(state, np.float32, _LATEST, offset)
            offset += latest.nbytes
            evidence = np.frombuffer(state, np.float32, windows * size, offset)
            offset += evidence.nbytes
            pcm = np.frombuffer(state, np.int16, held, offset)
        except (struct.error, ValueError) as error:
            raise ValueError(f"state: not a state of a streaming classifier: {error}") from None
        if magic != _MAGIC or not MIN_RATE <= rate <= MAX_RATE or held >= column_length(rate) + 1:
            raise ValueError("state: not a state of a streaming classifier of this version")
        if not all(np.isfinite(values).all() for values in (scores, latest, evidence)):
            raise ValueError("state: damaged: not finite")
        self = cls(classifier, rate)
        self._phase, self._waiting, self._hold = phase % COLUMNS_PER_SECOND, flags & 0x7F, hold
        self._scores = scores.reshape(3, len(KINDS)).copy()
        if model == self._model:
            if size != classifier.memory.size or windows >= classifier.memory.windows:
                raise ValueError(f"state: damaged: evidence of {windows} windows with {size} values")
            self._evidence = evidence.reshape(windows, size).copy()
        self._pcm = pcm.copy()
        self._spectrogram = unpack(state[offset + pcm.nbytes :])
        columns = len(self._spectrogram)
        if columns + self._waiting != WINDOW and not (columns == WINDOW and 1 <= self._waiting <= HOP):
            raise ValueError(f"state: damaged: {columns} columns, the next window in {self._waiting}")
        if flags >> 7:
            values = latest.astype(np.float64)
            self.latest = classifier.to_prediction(
                values[: len(LABELS)], values[len(LABELS) : -1], float(values[-1])
            )
        return self


def process_together(
    streams: Sequence[StreamingClassifier], blocks: Sequence[NDArray[np.int16]]
) -> list[tuple[Prediction, ...]]:
    """Process a block of each of several streams at one position; the network runs once for all of them.

    Parameters
    ----------
    streams : sequence of StreamingClassifier
        Of one classifier, with equal `position`.
    blocks : sequence of (n,) int16
        One for each stream, of equal length, from `quantise`.

    Returns
    -------
    list of tuple of Prediction
        For each quarter second that the block completes, the predictions of the streams.
    """
    classifier, rate = streams[0].classifier, streams[0].rate
    found: list[tuple[Prediction, ...]] = []
    for i in range(0, len(blocks[0]), rate):  # one second at a time bounds memory
        views = np.stack(
            [stream.complete_windows(pcm[i : i + rate]) for stream, pcm in zip(streams, blocks, strict=True)]
        )
        count = views.shape[1]
        if count:
            analysis = classifier.analyse(views.reshape(-1, WINDOW, BANDS))
            parts = (analysis.of(slice(k * count, (k + 1) * count)) for k in range(len(streams)))
            found += zip(
                *(stream.judge(part) for stream, part in zip(streams, parts, strict=True)), strict=True
            )
    return found
