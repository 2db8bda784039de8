"""Noise classification and alarm detection. Needs numpy only; the model file is part of the package."""

from anc.noise.channels import MultichannelClassifier, classify_channels
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
    "MultichannelClassifier",
    "Prediction",
    "StreamingClassifier",
    "classify_channels",
    "summary",
]
