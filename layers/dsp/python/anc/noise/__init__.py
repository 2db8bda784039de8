"""Hearing: name a noise, notice an alarm. numpy only; the model ships beside the code."""

from anc.noise.classifier import KINDS, LABELS, Classifier, Hearing
from anc.noise.features import FEATURE_HASH, summary
from anc.noise.listener import Listener
from anc.noise.model_file import ModelError

__all__ = ["FEATURE_HASH", "KINDS", "LABELS", "Classifier", "Hearing", "Listener", "ModelError", "summary"]
