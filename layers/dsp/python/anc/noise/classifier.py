"""Name a noise and notice an alarm, from sound or from its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from anc.noise.handcrafted import handcrafted_features
from anc.noise.model_file import ModelError, ModelFile
from anc.noise.network import Ensemble, evidence, sigmoid, softmax

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
QUIET_DBFS = (
    -70.0
)  # a window below this level is called quiet: some 50 dB SPL with a usual headset microphone
OPERATING_POINT = 0.85  # emergency scores are scaled so that each kind's own threshold lies here
MIN_WINDOW_PROBABILITY = 10  # columns in a quarter of a second
DEFAULT_MODEL = Path(__file__).with_name("model.npz")


@dataclass(frozen=True)
class Prediction:
    """What was heard.

    Attributes
    ----------
    label : str
        One of `LABELS`.
    confidence : float
        Probability of that label, 0 to 1, calibrated: of the answers given at 0.8, about 80 % are right.
    probabilities : dict of str to float
        Of every label; they add up to 1.
    emergency : bool
        Whether a siren, horn or alarm was heard.
    emergency_score : float
        The largest of `kinds`.
    kinds : dict of str to float
        Score of ``siren``, ``horn`` and ``alarm``, 0 to 1; not probabilities: 0.85 is where each fires.
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


class Classifier:
    """The model that ships, or another of its kind.

    Stateless after loading, so one instance serves any number of threads and streams.
    """

    def __init__(self, model: ModelFile, threshold: float = OPERATING_POINT) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold: {threshold}, a number between 0 and 1 is needed")
        self.threshold = threshold
        self.name: str = model.about["name"]
        self.sha256 = model.sha256
        self._noise = Ensemble(model.arrays, "noise")
        self._alarm = Ensemble(model.arrays, "alarm")
        self._temperature = float(model.about["temperature"])
        self._labels = np.zeros((len(model.about["classes"]), len(LABELS)))
        for i, name in enumerate(model.about["classes"]):
            self._labels[i, LABELS.index(model.about["labels"][name])] = 1
        self._witnesses = np.array([model.about["classes"].index(name) for name in model.about["witnesses"]])

    @classmethod
    def load(cls, path: str | Path | None = None, threshold: float = OPERATING_POINT) -> "Classifier":
        """Load the model that ships, or the one at `path`.

        Parameters
        ----------
        path : path, optional
            An .npz written by training. It is checked, and nothing in it is ever unpickled or run.
        threshold : float, 0 to 1
            Emergency score from which on `Hearing.emergency` is true.

        Raises
        ------
        ModelError
            Naming the file and what is wrong with it.
        """
        where = Path(path) if path else DEFAULT_MODEL
        model = model_file.load(where)
        try:
            made = cls(model, threshold)
            made._try()
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, MemoryError) as error:
            if isinstance(error, ValueError) and "threshold" in str(error):
                raise
            raise ModelError(f"{where}: does not fit this code: {error}") from error
        return made

    def _try(self) -> None:
        """Check that the parts of the model fit each other. Raises ValueError, as whatever is wrong does."""
        with np.errstate(all="ignore"):
            probabilities, scores = self.predict(np.zeros((1, WINDOW, BANDS), np.uint8))
        if probabilities.shape != (1, len(LABELS)) or scores.shape != (1, len(KINDS)):
            raise ValueError(f"its answers have the shapes {probabilities.shape} and {scores.shape}")
        if not (np.isfinite(probabilities).all() and np.isfinite(scores).all()):
            raise ValueError("it answers with what is no number")

    def classify(self, samples: ArrayLike, rate: int) -> Prediction:
        """Hear one sound.

        Parameters
        ----------
        samples : (n,) array_like of float
            Mono in [-1, 1], a quarter of a second or more. A sound of over a second is heard in windows
            of one second every quarter second: the noise is their mean, an emergency needs two of three.
        rate : int
            Hz, 8,000 to 192,000.

        Raises
        ------
        ValueError
            For a shorter sound, another shape, values that are not finite or out of range, another rate.
        """
        return self.classify_spectrogram(log_mel_spectrogram(samples, rate))

    def classify_summary(self, packed: bytes) -> Prediction:
        """Hear what `anc.noise.summary` made of a sound; ValueError when the bytes are something else."""
        spectrogram = unpack(packed)
        if len(spectrogram) < MIN_WINDOW_PROBABILITY:
            raise ValueError(
                f"summary: {len(spectrogram)} columns, at least {MIN_WINDOW_PROBABILITY} are needed"
            )
        return self.classify_spectrogram(spectrogram)

    def classify_spectrogram(self, spectrogram: LogMelSpectrogram) -> Prediction:
        """Hear a picture, (columns, BANDS) uint8 with at least one column."""
        views = windows(spectrogram)
        parts = [self.predict(views[i : i + 64]) for i in range(0, len(views), 64)]
        probabilities = np.concatenate([part[0] for part in parts])
        loud = probabilities[:, -1] < 0.5
        heard = probabilities[loud] if loud.any() else probabilities
        mean = np.exp(np.log(heard + 1e-6).mean(axis=0))
        return self.prediction(
            mean / mean.sum(), vote(np.concatenate([part[1] for part in parts])), spectrogram
        )

    def predict(self, views: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities of the labels, (n, len(LABELS)), and scores of the kinds, (n, 3), of windows.

        Parameters
        ----------
        views : (n, WINDOW, BANDS) uint8
        """
        x = network_input(views)
        features = handcrafted_features(x)
        logits = self._noise(x, features)
        quiet = sigmoid((QUIET_DBFS - np.array([level_dbfs(view) for view in views])) / 1.5)[:, None]
        probabilities = softmax(logits / self._temperature) @ self._labels * (1 - quiet)
        probabilities[:, -1:] += quiet
        scores = sigmoid(self._alarm(x, features) + evidence(logits, self._witnesses)) * (1 - quiet)
        return probabilities, scores

    def prediction(
        self, probabilities: NDArray[np.float64], scores: NDArray[np.float64], spectrogram: LogMelSpectrogram
    ) -> Prediction:
        """Put one distribution over `LABELS` and one score for each of `KINDS` into words."""
        best = int(np.argmax(probabilities))
        score = float(scores.max())
        return Prediction(
            label=LABELS[best],
            confidence=float(probabilities[best]),
            probabilities=dict(zip(LABELS, probabilities.tolist(), strict=True)),
            emergency=score >= self.threshold,
            emergency_score=score,
            kinds=dict(zip(KINDS, scores.tolist(), strict=True)),
            level_dbfs=level_dbfs(spectrogram),
        )


def vote(scores: NDArray[np.float64] | Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The score that two of three neighbouring windows reach, at the place where it is largest.

    A sound of one or two windows has no third: there the larger one counts, since a missed alarm is worse
    than a false one.

    Parameters
    ----------
    scores : (n, kinds) float, n >= 1
    """
    scores = np.asarray(scores)
    if len(scores) < 3:
        return np.asarray(scores.max(axis=0))
    threes = np.lib.stride_tricks.sliding_window_view(scores, 3, axis=0)
    return np.asarray(np.median(threes, axis=-1).max(axis=0))
