"""Classify noise and detect alarms, from sound or from its log-mel spectrogram."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc.noise import model_file
from anc.noise.features import (
    BANDS,
    WINDOW,
    LogMelSpectrogram,
    level_dbfs,
    log_mel_spectrogram,
    network_input,
    unpack,
    windows,
)
from anc.noise.labels import average
from anc.noise.model_file import ModelError, ModelFile
from anc.noise.network import Array, Memory, Network, sigmoid, softmax

LABELS = (
    "aircraft",
    "rail",
    "road",
    "machine",
    "weather",
    "voices",
    "animal",
    "impulsive",
    "music",
    "other",
    "quiet",
)
KINDS = ("siren", "horn", "alarm")
QUIET_DBFS = -70.0  # windows below this level are quiet: about 50 dB SPL with a usual headset microphone
OPERATING_POINT = 0.85  # emergency scores are scaled so that the threshold of each kind is this value
MIN_COLUMNS = 10  # a quarter of a second
BATCH = 64  # windows that are processed together; bounds memory
DEFAULT_MODEL = Path(__file__).with_name("model.npz")


@dataclass(frozen=True)
class Prediction:
    """Noise class and emergency scores of a sound.

    Attributes
    ----------
    label : str
        One of `LABELS`.
    confidence : float
        Calibrated probability of that label, 0 to 1: of predictions at 0.8, about 80 % are correct.
    probabilities : dict of str to float
        By label; they add up to 1.
    emergency : bool
        Whether a siren, horn or alarm was detected.
    emergency_score : float
        The largest of `kinds`.
    kinds : dict of str to float
        Scores of ``siren``, ``horn`` and ``alarm``, 0 to 1. Not probabilities: each is detected from 0.85 on.
    level_dbfs : float
        Mean level, 0 for a full-scale square wave.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    emergency: bool
    emergency_score: float
    kinds: dict[str, float]
    level_dbfs: float


class Analysis(NamedTuple):
    """What the network finds in n windows, each on its own.

    Attributes
    ----------
    probabilities : (n, len(LABELS)) float64
        Of the noise labels.
    evidence : (n, size) float32
        Evidence of an emergency, for `Classifier.emergency_scores`.
    quiet : (n,) float64
        0 to 1; in a quiet window there is no emergency.
    level_dbfs : (n,) float64
    """

    probabilities: NDArray[np.float64]
    evidence: Array
    quiet: NDArray[np.float64]
    level_dbfs: NDArray[np.float64]

    def of(self, part: slice) -> "Analysis":
        """Return what was found in some of the windows."""
        return Analysis(
            self.probabilities[part], self.evidence[part], self.quiet[part], self.level_dbfs[part]
        )


class Classifier:
    """Noise classifier and alarm detector.

    It has no state after loading, so one instance serves any number of threads and streams.

    Examples
    --------
    >>> classifier = Classifier.load()
    >>> tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    >>> prediction = classifier.classify(0 * tone, rate=16_000)
    >>> prediction.label, prediction.emergency
    ('quiet', False)
    """

    def __init__(self, model: ModelFile, threshold: float = OPERATING_POINT) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold: must be between 0 and 1 (got {threshold})")
        self.threshold = threshold
        self.name: str = model.about["name"]
        self.sha256 = model.sha256
        classes = model.about["classes"]
        self._network, self.memory = Network(model.arrays), Memory(model.arrays)
        sizes = (self._network.classes, self._network.kinds, self._network.size, self.memory.kinds)
        if sizes != (len(classes), len(KINDS), self.memory.size, len(KINDS)):
            raise ValueError(f"classes, kinds and evidence: sizes {sizes} do not match each other")
        self._temperature = float(model.about["temperature"])
        self._labels = np.zeros((len(classes), len(LABELS)))
        for i, name in enumerate(classes):
            self._labels[i, LABELS.index(model.about["labels"][name])] = 1

    @classmethod
    def load(cls, path: str | Path | None = None, threshold: float = OPERATING_POINT) -> "Classifier":
        """Load the bundled model, or the one at `path`.

        Parameters
        ----------
        path : path, optional
            An .npz file written by training. It is validated; nothing in it is unpickled or executed.
        threshold : float, 0 to 1
            Minimum emergency score for `Prediction.emergency`.

        Raises
        ------
        ModelError
            If the file is not a valid model; the message names the file.
        """
        file = Path(path) if path else DEFAULT_MODEL
        model = model_file.load(file)
        try:
            classifier = cls(model, threshold)
            classifier._check_outputs()
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, MemoryError) as error:
            if isinstance(error, ValueError) and "threshold" in str(error):
                raise
            raise ModelError(f"{file}: incompatible with this version: {error}") from error
        return classifier

    def _check_outputs(self) -> None:
        """Run the model once. Raises ValueError, or another error of numpy, if its parts do not match."""
        with np.errstate(all="ignore"):
            found = self.analyse(np.zeros((1, WINDOW, BANDS), np.uint8))
            scores = sigmoid(self.memory(found.evidence))
        if not all(np.isfinite(output).all() for output in (found.probabilities, found.evidence, scores)):
            raise ValueError("the output is not finite")

    def classify(self, samples: ArrayLike, rate: int) -> Prediction:
        """Classify a sound.

        Parameters
        ----------
        samples : (n,) array_like of float
            Mono in [-1, 1], at least a quarter of a second. A sound longer than a second is split into
            one-second windows every quarter second: class probabilities are averaged, and an emergency must
            be detected in two of three neighbouring windows. Each window is judged with those before it.
        rate : int
            Hz, 8,000 to 192,000.

        Raises
        ------
        ValueError
            If the sound is too short, of another shape, not finite or out of range, or the rate is.
        """
        return self.classify_spectrogram(log_mel_spectrogram(samples, rate))

    def classify_summary(self, packed: bytes) -> Prediction:
        """Classify the result of `anc.noise.summary`. Raises ValueError for other bytes."""
        spectrogram = unpack(packed)
        if len(spectrogram) < MIN_COLUMNS:
            raise ValueError(f"summary: must have at least {MIN_COLUMNS} columns (got {len(spectrogram)})")
        return self.classify_spectrogram(spectrogram)

    def classify_spectrogram(self, spectrogram: LogMelSpectrogram) -> Prediction:
        """Classify a log-mel spectrogram, (columns, BANDS) uint8 with at least one column."""
        views = windows(spectrogram)
        before, probabilities, scores = self.memory.empty, [], []
        for i in range(0, len(views), BATCH):
            found = self.analyse(views[i : i + BATCH])
            probabilities.append(found.probabilities)
            scores.append(self.emergency_scores(found, before))
            before = self.memory.keep(np.concatenate([before, found.evidence]))
        return self.to_prediction(
            average(np.concatenate(probabilities)),
            vote(np.concatenate(scores)),
            float(level_dbfs(spectrogram)),
        )

    def analyse(self, views: NDArray[np.uint8]) -> Analysis:
        """Return what the network finds in each of several windows, (n, WINDOW, BANDS), of any sounds."""
        noise, evidence = self._network(network_input(views))
        level = level_dbfs(views)
        quiet = sigmoid((QUIET_DBFS - level) / 1.5)
        probabilities = softmax(noise / self._temperature) @ self._labels * (1 - quiet[:, None])
        probabilities[:, -1] += quiet
        return Analysis(probabilities, evidence, quiet, level)

    def emergency_scores(self, windows: Analysis, before: Array) -> NDArray[np.float64]:
        """Return the scores of `KINDS`, (n, 3), of successive windows of one sound.

        Parameters
        ----------
        windows : Analysis
        before : (k, size) float32
            Evidence of the windows directly before them; ``memory.empty`` at the start of the sound.
        """
        return sigmoid(self.memory(windows.evidence, before)) * (1 - windows.quiet[:, None])

    def to_prediction(
        self, probabilities: NDArray[np.float64], scores: NDArray[np.float64], level_dbfs: float
    ) -> Prediction:
        """Return a `Prediction` from probabilities of `LABELS`, scores of `KINDS` and the level."""
        best = int(np.argmax(probabilities))
        score = float(scores.max())
        return Prediction(
            label=LABELS[best],
            confidence=float(probabilities[best]),
            probabilities=dict(zip(LABELS, probabilities.tolist(), strict=True)),
            emergency=score >= self.threshold,
            emergency_score=score,
            kinds=dict(zip(KINDS, scores.tolist(), strict=True)),
            level_dbfs=level_dbfs,
        )


def vote(scores: NDArray[np.float64] | Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the largest score, by kind, that two of three neighbouring windows reach.

    For one or two windows it is the larger score, since a missed alarm is worse than a false one.

    Parameters
    ----------
    scores : (n, kinds) float, n >= 1

    Returns
    -------
    (kinds,) float

    Examples
    --------
    >>> vote([[0.9], [0.1], [0.8], [0.0]]).tolist()
    [0.8]
    """
    scores = np.asarray(scores)
    if len(scores) < 3:
        return np.asarray(scores.max(axis=0))
    threes = np.lib.stride_tricks.sliding_window_view(scores, 3, axis=0)
    return np.asarray(np.median(threes, axis=-1).max(axis=0))
