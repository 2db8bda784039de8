"""Classify noise and detect alarms in live blocks, snapshots and files.

Detection fails open: if it is not available, headsets and sessions switch to transparency.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from aws_lambda_powertools import Logger

from anc.audio.reader import open_short
from anc.dsp import onset
from anc.noise import Classifier, ModelError, Prediction, StreamingClassifier
from anc.noise.classifier import KINDS, LABELS
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
        Classifier state for the stream's next block.
    classifier_stream : StreamingClassifier or None
        The classifier that `state` encodes.
    """

    noise: NoisePrediction | None
    emergency: EmergencyState
    until: float
    kind: str = ""
    state: bytes = b""
    classifier_stream: StreamingClassifier | None = None


def detect_in_block(
    stream: Stream, cached: StreamingClassifier | None, x: np.ndarray, deps: Dependencies
) -> Detection:
    """Classify the next block of a stream.

    After a gap the classifier continues with earlier sound. It needs a second of sound, so a reset would
    prevent detection in a session that skips blocks often.

    Parameters
    ----------
    cached : StreamingClassifier or None
        The decoded `stream.classifier_state`, if it is in memory.
    x : (n,) float32
        Reference channel of the block.
    """
    settings = deps.settings
    at = (stream.samples + x.size) / stream.rate
    try:
        classifier = load_classifier(settings)
        if stream.classifier_state:
            classifier_stream = cached or StreamingClassifier.from_state(classifier, stream.classifier_state)
        else:
            classifier_stream = StreamingClassifier(classifier, stream.rate)
        alarms = [prediction for prediction in classifier_stream.process(x) if prediction.emergency]
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


def detect_in_snapshot(snapshot: Snapshot, deps: Dependencies) -> Detection:
    """Classify the PCM or the log-mel summary of a snapshot.

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
            x = int16_to_float(snapshot.pcm[:, 0])
            # A noise that starts after quiet looks impulsive, so its sound is repeated to the full length.
            prediction = classifier.classify(np.resize(x[onset(x) :], x.size), snapshot.rate)
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
    return Detection(_noise(prediction), emergency, now + settings.emergency_hold_s if kind else 0.0, kind)


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
    """Classify the noise in a sound file of 0.25 s to a minute. Channels are averaged.

    The label comes from the endpoint if one is configured and answers, unless the sound is quiet. Alarms are
    always detected by the model of the layer, whose thresholds are calibrated. `charge` is called with the
    predicted core-seconds first.

    Raises
    ------
    Refused
        `bad_field` or `too_large` for an invalid file; `unavailable` without a classifier.
    """
    mono, rate, note = _decoded(data, charge)
    try:
        classifier = load_classifier(deps.settings)
    except ModelError as fault:
        _report_failure(fault, deps)
        raise Refused("unavailable", "model: cannot be loaded, so noise cannot be classified") from fault
    prediction = classifier.classify(mono, rate)
    remote = None
    if deps.endpoint.configured and prediction.label != "quiet":
        remote = endpoint_classifier.classify(endpoint_classifier.endpoint_request(mono, rate), deps)
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

    The last is a sentence if a part of the file could not be decoded, else "".

    If detection itself fails, the emergency is active. `charge` is called with the predicted core-seconds
    first.

    Raises
    ------
    Refused
        `bad_field` or `too_large` for an invalid file.
    """
    mono, rate, note = _decoded(data, charge)
    try:
        prediction = load_classifier(deps.settings).classify(mono, rate)
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
        charge(estimated_cpu_s(source))
        return source.read_mono(), source.rate, source.note


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
