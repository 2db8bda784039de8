"""Classify noise and detect alarms in live blocks and snapshots; `file_detection` does so in files.

Detection fails open: if it is not available, headsets and sessions switch to transparency.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from aws_lambda_powertools import Logger

from anc.dsp import onset
from anc.noise import Classifier, ModelError, MultichannelClassifier, Prediction
from anc.noise.channels import WINDOW_S, classify_each, labelled, worst
from anc.noise.classifier import KINDS, LABELS
from anc.noise.labels import LabelEvidence
from anc.pcm import int16_to_float
from anc.ports import Dependencies
from anc.records import Stream
from anc.schemas.refusal import Refused
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import EmergencyState, NoisePrediction
from anc.settings import Settings

DETECTION_FAILED = "alarm detection failed, so the sound is passed through"
MODEL_UNAVAILABLE = "the detection model cannot be loaded, so the sound is passed through"
FAULTS = (DETECTION_FAILED, MODEL_UNAVAILABLE)
MIN_ALARM_S = 0.4  # shorter sounds, repeated to fill a second, cause many false alarms
FAIL_OPEN_HOLD_S = 60.0  # longer than the interval between snapshots, so that a headset stays transparent

logger = Logger(service="detection")


class Detection(NamedTuple):
    """Noise class and emergency state of a block or snapshot.

    Attributes
    ----------
    noise : NoisePrediction or None
        None before the first second of a stream, and if classification failed.
    emergency : EmergencyState
    until : float
        End of the emergency: for a stream in seconds of its audio, for a snapshot in seconds since the epoch;
        0 for none.
    kind : str
        Siren, horn or alarm if one was detected in this sound, else "".
    state : bytes
        Classifier state for the stream's next block; for a snapshot the evidence for its label.
    classifier_stream : MultichannelClassifier or None
        The classifier that `state` encodes.
    channel : int
        For a snapshot, the channel in which an alarm is most evident.
    """

    noise: NoisePrediction | None
    emergency: EmergencyState
    until: float
    kind: str = ""
    state: bytes = b""
    classifier_stream: MultichannelClassifier | None = None
    channel: int = 0


def detect_in_block(
    stream: Stream, cached: MultichannelClassifier | None, signals: np.ndarray, deps: Dependencies
) -> Detection:
    """Classify the next block of a stream. An alarm in either microphone counts.

    After a gap the classifier continues with earlier sound. It needs a second of sound, so a reset would
    prevent detection in a session that skips blocks often.

    Parameters
    ----------
    cached : MultichannelClassifier or None
        The decoded `stream.classifier_state`, if it is in memory.
    signals : (n, channels) float32
    """
    settings = deps.settings
    at = (stream.samples + len(signals)) / stream.rate
    try:
        classifier = load_classifier(settings)
        if stream.classifier_state:
            classifier_stream = cached or MultichannelClassifier.from_state(
                classifier, stream.classifier_state, stream.channels
            )
        else:
            classifier_stream = MultichannelClassifier(classifier, stream.rate, stream.channels)
        alarms = [prediction for prediction in classifier_stream.process(signals) if prediction.emergency]
    except Exception as fault:  # noqa: BLE001  any failure must fail open
        reason = report_failure(fault, deps)
        return Detection(None, EmergencyState(settings.emergency_detection_enabled, 0.0, reason), at)
    alarm = alarms[-1] if alarms and settings.emergency_detection_enabled else None
    until = at + settings.emergency_hold_s if alarm else stream.emergency_until
    score = classifier_stream.latest.emergency_score if classifier_stream.latest else 0.0
    emergency = EmergencyState(at < until, round(score, 3))
    return Detection(
        _noise(classifier_stream.latest),
        emergency,
        until,
        _kind(alarm),
        classifier_stream.state(),
        classifier_stream,
    )


def detect_in_snapshot(
    snapshot: Snapshot, deps: Dependencies, evidence: bytes = b"", gap_s: float = 0.0
) -> Detection:
    """Classify the PCM of both microphones, or the log-mel summary of a snapshot.

    The summary is of the reference microphone only. The label is smoothed over the snapshots of a headset.

    Parameters
    ----------
    evidence : bytes
        The `state` of the previous snapshot's detection; b"" for the first.
    gap_s : float
        Seconds since then.

    Raises
    ------
    Refused
        `bad_field` if the sound is too short or the summary is invalid.
    """
    settings = deps.settings
    now = deps.clock()
    try:
        classifier = load_classifier(settings)
        if snapshot.pcm is None:
            by_channel = {0: classifier.classify_summary(snapshot.summary)}
        else:
            by_channel = classify_each(classifier, _after_onset(snapshot.pcm), snapshot.rate)
        prediction = worst(list(by_channel.values()))
        prediction, state = _smoothed(prediction, snapshot, evidence, gap_s)
    except ValueError as fault:
        raise Refused("bad_field", f"snapshot: {fault}") from fault
    except Exception as fault:  # noqa: BLE001  any failure must fail open
        reason = report_failure(fault, deps)
        if not settings.emergency_detection_enabled:
            return Detection(None, EmergencyState(False, 0.0), 0.0)
        return Detection(
            None, EmergencyState(True, 0.0, reason), now + max(FAIL_OPEN_HOLD_S, settings.emergency_hold_s)
        )
    is_alarm = prediction.emergency and snapshot.lasts(MIN_ALARM_S) and settings.emergency_detection_enabled
    kind = _kind(prediction if is_alarm else None)
    emergency = EmergencyState(
        bool(kind), round(prediction.emergency_score, 3), f"{kind} detected" if kind else ""
    )
    until = now + settings.emergency_hold_s if kind else 0.0
    return Detection(_noise(prediction), emergency, until, kind, state, channel=suspect(by_channel))


def suspect(by_channel: dict[int, Prediction]) -> int:
    """Return the channel in which an alarm is most evident."""
    return max(by_channel, key=lambda i: by_channel[i].emergency_score)


def _smoothed(
    prediction: Prediction, snapshot: Snapshot, evidence: bytes, gap_s: float
) -> tuple[Prediction, bytes]:
    """Return the prediction with the label of the recent snapshots, and the evidence for the next one.

    A short snapshot is the first of a new noise, about which earlier ones say nothing.
    """
    seconds = min(snapshot.samples / snapshot.rate, WINDOW_S)
    probabilities = np.array(list(prediction.probabilities.values()))
    try:
        before = LabelEvidence.from_bytes(evidence)
    except ValueError:  # of another version
        before = LabelEvidence()
    if not snapshot.lasts(MIN_ALARM_S):
        before = LabelEvidence(label=before.label)
    updated, averaged = before.updated(probabilities, seconds, gap_s)
    return labelled(prediction, updated, averaged), updated.to_bytes()


def _after_onset(pcm: np.ndarray) -> np.ndarray:
    """Return (n, channels) int16 as floats.

    In a channel that starts with quiet, the sound after it is repeated to the full length, since it would
    look impulsive otherwise.
    """
    channels = int16_to_float(pcm).T
    return np.stack([np.resize(one[onset(one) :], one.size) for one in channels], axis=1)


def load_classifier(settings: Settings) -> Classifier:
    """Return the configured classifier, cached. Raises anc.noise.ModelError."""
    return _load(settings.ml_model_path, settings.emergency_confidence_threshold)


@cache
def _load(path: str, threshold: float) -> Classifier:
    return Classifier.load(path or None, threshold)


def report_failure(fault: Exception, deps: Dependencies) -> str:
    """Log and count a failure of detection; return a reason that does not reveal file paths."""
    reason = MODEL_UNAVAILABLE if isinstance(fault, ModelError) else DETECTION_FAILED
    logger.error(reason, fault=f"{type(fault).__name__}: {fault}")
    deps.count("classification_failed")
    return reason


def _kind(alarm: Prediction | None) -> str:
    return max(alarm.kinds, key=alarm.kinds.__getitem__) if alarm else ""


def _noise(prediction: Prediction | None) -> NoisePrediction | None:
    return NoisePrediction(prediction.label, round(prediction.confidence, 3)) if prediction else None


def models(deps: Dependencies) -> list[dict[str, Any]]:
    """Describe the classifiers in use; return an empty list if the configured one cannot be loaded."""
    try:
        classifier = load_classifier(deps.settings)
    except ModelError as fault:
        report_failure(fault, deps)
        return []
    return [
        {
            "name": classifier.name,
            "sha256": classifier.sha256,
            "labels": list(LABELS),
            "kinds": list(KINDS),
            "threshold": classifier.threshold,
        }
    ]
