"""Hearing: name a noise, notice an alarm. numpy only; the model ships beside the code."""

from anc.noise.classifier import KINDS, LABELS, Classifier, Prediction
from anc.noise.features import FEATURE_HASH, summary
from anc.noise.model_file import ModelError
from anc.noise.streaming import StreamingClassifier

__all__ = [
    "FEATURE_HASH",
    "KINDS",
    "LABELS",
    "Classifier",
    "ModelError",
    "Prediction",
    "StreamingClassifier",
    "summary",
]
