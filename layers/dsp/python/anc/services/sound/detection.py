"""Classify noise and detect alarms in live blocks, snapshots and files.

Detection fails open: if it is not available, headsets and sessions switch to transparency.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from aws_lambda_powertools import Logger

from anc.audio.reader import open_short
from anc.dsp import onset
from anc.noise import Classifier, ModelError, MultichannelClassifier, Prediction
from anc.noise.channels import WINDOW_S, classify_channels, classify_each, labelled, worst
from anc.noise.classifier import KINDS, LABELS
from anc.noise.labels import LabelEvidence
from anc.pcm import int16_to_float
from anc.ports import Dependencies
from anc.records import Stream
from anc.schemas.refusal import Refused, refuse
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import EmergencyState, NoisePrediction
from anc.services.sound import endpoint_classifier
from anc.services.sound.cpu_budget import Charge, estimated_cpu_s, no_charge
from anc.settings import Settings

MIN_SOUND_S = 0.25  # shortest sound that can be classified
MAX_SAMPLES = 60 * 48_000 * 8  # of a file in a request, over all channels: 92 MB of memory
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
    """

    noise: NoisePrediction | None
    emergency: EmergencyState
    until: float
    kind: str = ""
    state: bytes = b""
    classifier_stream: MultichannelClassifier | None = None


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
        reason = _report_failure(fault, deps)
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
            prediction = classifier.classify_summary(snapshot.summary)
        else:
            prediction = classify_channels(classifier, _after_onset(snapshot.pcm), snapshot.rate)
        prediction, state = _smoothed(prediction, snapshot, evidence, gap_s)
    except ValueError as fault:
        raise Refused("bad_field", f"snapshot: {fault}") from fault
    except Exception as fault:  # noqa: BLE001  any failure must fail open
        reason = _report_failure(fault, deps)
        if not settings.emergency_detection_enabled:
            return Detection(None, EmergencyState(False, 0.0), 0.0)
        return Detection(
            None, EmergencyState(True, 0.0, reason), now + max(FAIL_OPEN_HOLD_S, settings.emergency_hold_s)
        )
    long_enough = snapshot.samples >= MIN_ALARM_S * snapshot.rate
    is_alarm = prediction.emergency and long_enough and settings.emergency_detection_enabled
    kind = _kind(prediction if is_alarm else None)
    emergency = EmergencyState(
        bool(kind), round(prediction.emergency_score, 3), f"{kind} detected" if kind else ""
    )
    until = now + settings.emergency_hold_s if kind else 0.0
    return Detection(_noise(prediction), emergency, until, kind, state)


def _smoothed(
    prediction: Prediction, snapshot: Snapshot, evidence: bytes, gap_s: float
) -> tuple[Prediction, bytes]:
    """Return the prediction with the label of the recent snapshots, and the evidence for the next one."""
    seconds = min(snapshot.samples / snapshot.rate, WINDOW_S)
    probabilities = np.array(list(prediction.probabilities.values()))
    try:
        before = LabelEvidence.from_bytes(evidence)
    except ValueError:  # of another version
        before = LabelEvidence()
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


def _report_failure(fault: Exception, deps: Dependencies) -> str:
    """Log and count a failure of detection; return a reason that does not reveal file paths."""
    reason = MODEL_UNAVAILABLE if isinstance(fault, ModelError) else DETECTION_FAILED
    logger.error(reason, fault=f"{type(fault).__name__}: {fault}")
    deps.count("classification_failed")
    return reason


def _kind(alarm: Prediction | None) -> str:
    return max(alarm.kinds, key=alarm.kinds.__getitem__) if alarm else ""


def _noise(prediction: Prediction | None) -> NoisePrediction | None:
    return NoisePrediction(prediction.label, round(prediction.confidence, 3)) if prediction else None


def classify_file(data: bytes, deps: Dependencies, charge: Charge = no_charge) -> dict[str, Any]:
    """Classify the noise in a sound file of 0.25 s to a minute.

    An alarm in any channel counts; the label is that of all channels together, or the endpoint's of the
    channel in which an alarm is most evident.

    The label comes from the endpoint if one is configured and answers, unless the sound is quiet. Alarms are
    always detected by the model of the layer, whose thresholds are calibrated. `charge` is called with the
    predicted core-seconds first.

    Raises
    ------
    Refused
        `bad_field` or `too_large` for an invalid file; `unavailable` without a classifier.
    """
    samples, rate, note = _decoded(data, charge)
    try:
        classifier = load_classifier(deps.settings)
    except ModelError as fault:
        _report_failure(fault, deps)
        raise Refused("unavailable", "model: cannot be loaded, so noise cannot be classified") from fault
    by_channel = classify_each(classifier, samples, rate)
    prediction = worst(list(by_channel.values()))
    remote = None
    if deps.endpoint.configured and prediction.label != "quiet":
        suspect = max(by_channel, key=lambda i: by_channel[i].emergency_score)
        question = endpoint_classifier.endpoint_request(samples[:, suspect], rate)
        remote = endpoint_classifier.classify(question, deps)
    chosen = remote or prediction
    return {
        "label": chosen.label,
        "confidence": round(chosen.confidence, 4),
        "probabilities": _rounded(chosen.probabilities),
        "emergency": {"active": prediction.emergency, "score": round(prediction.emergency_score, 4)},
        "kinds": _rounded(prediction.kinds),
        "model": remote.model if remote else classifier.name,
        "sha256": remote.sha256 if remote else classifier.sha256,
        "answered_by": "endpoint" if remote else "layer",
        "truncated": bool(note),
        "note": note,
    }


def emergency_in_file(
    data: bytes, deps: Dependencies, charge: Charge = no_charge
) -> tuple[EmergencyState, dict[str, float], str]:
    """Detect alarms in a sound file; return the emergency state, the score of each kind, and what is missing.

    An alarm in any channel counts; channels are never averaged, since they may cancel. What is missing is a
    sentence if a part of the file could not be decoded, else "".

    If detection itself fails, the emergency is active. `charge` is called with the predicted core-seconds
    first.

    Raises
    ------
    Refused
        `bad_field` or `too_large` for an invalid file.
    """
    samples, rate, note = _decoded(data, charge)
    try:
        prediction = classify_channels(load_classifier(deps.settings), samples, rate)
    except Exception as fault:  # noqa: BLE001  any failure must fail open
        return EmergencyState(True, 0.0, _report_failure(fault, deps)), {}, note
    emergency = EmergencyState(prediction.emergency, round(prediction.emergency_score, 4))
    return emergency, _rounded(prediction.kinds), note


def check_length(samples: int, rate: int) -> None:
    """Raise Refused, `bad_field`, if a sound is too short to be classified."""
    if samples < int(MIN_SOUND_S * rate):
        refuse(
            "bad_field",
            f"file: must be at least {MIN_SOUND_S} s long (got {samples / rate:.3f} s); record for longer",
        )


def _decoded(data: bytes, charge: Charge) -> tuple[np.ndarray, int, str]:
    with open_short(data) as source:
        check_length(source.frames, source.rate)
        size = source.frames * source.channels
        if size > MAX_SAMPLES:
            limit = f"file: must have at most {MAX_SAMPLES:,} samples over all channels (got {size:,})"
            refuse("too_large", f"{limit}; use fewer channels or a lower rate, or upload it instead")
        charge(estimated_cpu_s(source))
        return source.read_channels(), source.rate, source.note


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 4) for name, score in scores.items()}


def models(deps: Dependencies) -> list[dict[str, Any]]:
    """Describe the classifiers in use; return an empty list if the configured one cannot be loaded."""
    try:
        classifier = load_classifier(deps.settings)
    except ModelError as fault:
        _report_failure(fault, deps)
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
