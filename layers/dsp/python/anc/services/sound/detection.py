"""What the platform hears in a live block or a snapshot. When it cannot hear, it lets the world in."""

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

MIN_SOUND_S = 0.25  # of a sound that can be classified
DETECTION_FAILED = "hearing is out of order, so the headset is open to the world"
MODEL_UNAVAILABLE = "the hearing model cannot be loaded, so the headset is open to the world"
FAULTS = (DETECTION_FAILED, MODEL_UNAVAILABLE)
MIN_ALARM_S = 0.4  # of less, repeated to fill a second, many times as much passes for an alarm
FAIL_OPEN_HOLD_S = (
    60.0  # a headset sends its next snapshot well before: it stays open until somebody hears again
)

logger = Logger(service="hearing")


class Detection(NamedTuple):
    """What was heard.

    Attributes
    ----------
    noise : NoiseHeard or None
        None while there was too little to hear.
    emergency : EmergencyHeard
    until : float
        When the hold ends: for a stream in seconds of its audio, for a snapshot since the epoch; 0 for none.
    kind : str
        Siren, horn or alarm, when one was heard just now.
    state : bytes
        Of the listener, for the stream's next block.
    listener : Listener or None
        As `state` has it.
    """

    noise: NoisePrediction | None
    emergency: EmergencyState
    until: float
    kind: str = ""
    state: bytes = b""
    classifier_stream: StreamingClassifier | None = None


def detect_in_block(
    stream: Stream, kept: StreamingClassifier | None, x: np.ndarray, deps: Dependencies
) -> Detection:
    """Hear one more block of a stream.

    After a gap it goes on with what was heard before: it needs a second of sound, which a session that skips
    blocks again and again would never have, and then no alarm would open it.

    Parameters
    ----------
    kept : Listener or None
        The listener as the stream's bytes have it, if it need not be made from them.
    """
    settings = deps.settings
    at = (stream.samples + x.size) / stream.rate
    try:
        classifier = load_classifier(settings)
        if stream.classifier_state:
            classifier_stream = kept or StreamingClassifier.from_state(classifier, stream.classifier_state)
        else:
            classifier_stream = StreamingClassifier(classifier, stream.rate)
        alarms = [prediction for prediction in classifier_stream.process(x) if prediction.emergency]
    except Exception as fault:  # noqa: BLE001  whatever it was: a deaf platform must not silence the world
        why = _failed(fault, deps)
        return Detection(None, EmergencyState(settings.emergency_detection_enabled, 0.0, why), at)
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
    """Hear a headset's snapshot, or its log-mel summary.

    Raises
    ------
    Refused
        `bad_field` when there is too little in it, or the summary is none.
    """
    settings = deps.settings
    now = deps.clock()
    try:
        classifier = load_classifier(settings)
        if snapshot.pcm is None:
            prediction = classifier.classify_summary(snapshot.summary)
        else:
            x = int16_to_float(snapshot.pcm[:, 0])
            # Noise out of quiet would pass for a bang: what sounded is heard again until it is as long.
            prediction = classifier.classify(np.resize(x[onset(x) :], x.size), snapshot.rate)
    except ValueError as fault:
        raise Refused("bad_field", f"snapshot: {fault}") from fault
    except Exception as fault:  # noqa: BLE001  as above
        why = _failed(fault, deps)
        if not settings.emergency_detection_enabled:
            return Detection(None, EmergencyState(False, 0.0), 0.0)
        return Detection(
            None, EmergencyState(True, 0.0, why), now + max(FAIL_OPEN_HOLD_S, settings.emergency_hold_s)
        )
    enough = snapshot.samples >= MIN_ALARM_S * snapshot.rate
    judged = prediction.emergency and enough and settings.emergency_detection_enabled
    kind = _kind(prediction if judged else None)
    emergency = EmergencyState(
        bool(kind), round(prediction.emergency_score, 3), f"{kind} heard" if kind else ""
    )
    return Detection(_noise(prediction), emergency, now + settings.emergency_hold_s if kind else 0.0, kind)


def load_classifier(settings: Settings) -> Classifier:
    """Return the classifier that the settings name, loaded once. Raises anc.noise.ModelError."""
    return _load(settings.ml_model_path, settings.emergency_confidence_threshold)


@cache
def _load(path: str, threshold: float) -> Classifier:
    return Classifier.load(path or None, threshold)


def _failed(fault: Exception, deps: Dependencies) -> str:
    """Log and count that hearing failed; returns why, for those who may not know where files lie."""
    why = MODEL_UNAVAILABLE if isinstance(fault, ModelError) else DETECTION_FAILED
    logger.error(why, fault=f"{type(fault).__name__}: {fault}")
    deps.count("hearing_failed")
    return why


def _kind(alarm: Prediction | None) -> str:
    return max(alarm.kinds, key=alarm.kinds.__getitem__) if alarm else ""


def _noise(prediction: Prediction | None) -> NoisePrediction | None:
    return NoisePrediction(prediction.label, round(prediction.confidence, 3)) if prediction else None


def classify_file(data: bytes, deps: Dependencies, charge: Charge = no_charge) -> dict[str, Any]:
    """Name the noise in a sound file of a quarter of a second to a minute; of several channels their mean.

    The endpoint names it, where there is one that answers; whether there is an alarm in it, the model of the
    layer alone says, since its thresholds were measured. Silence needs no second model. `charge` gets the
    predicted core-seconds first.

    Raises
    ------
    Refused
        `bad_field` or `too_large`, naming what is wrong with the file; `unavailable` without a classifier.
    """
    mono, rate = _decoded(data, charge)
    try:
        classifier = load_classifier(deps.settings)
    except ModelError as fault:
        _failed(fault, deps)
        raise Refused("unavailable", "model: it cannot be loaded, so noise cannot be named") from fault
    prediction = classifier.classify(mono, rate)
    opinion = None
    if deps.endpoint.present and prediction.label != "quiet":
        opinion = endpoint_classifier.classify(endpoint_classifier.endpoint_request(mono, rate), deps)
    named = opinion or prediction
    return {
        "label": named.label,
        "confidence": round(named.confidence, 4),
        "probabilities": _rounded(named.probabilities),
        "emergency": {"active": prediction.emergency, "score": round(prediction.emergency_score, 4)},
        "kinds": _rounded(prediction.kinds),
        "model": opinion.model if opinion else classifier.name,
        "sha256": opinion.sha256 if opinion else classifier.sha256,
        "answered_by": "endpoint" if opinion else "layer",
    }


def emergency_in_file(
    data: bytes, deps: Dependencies, charge: Charge = no_charge
) -> tuple[EmergencyState, dict[str, float]]:
    """Tell whether an alarm is in a sound file, and the score of each kind of alarm.

    `charge` gets the predicted core-seconds first.

    Raises
    ------
    Refused
        Naming what is wrong with the file. When hearing itself fails, the answer is that there is an alarm.
    """
    mono, rate = _decoded(data, charge)
    try:
        prediction = load_classifier(deps.settings).classify(mono, rate)
    except Exception as fault:  # noqa: BLE001  as above
        return EmergencyState(True, 0.0, _failed(fault, deps)), {}
    return EmergencyState(prediction.emergency, round(prediction.emergency_score, 4)), _rounded(
        prediction.kinds
    )


def check_length(samples: int, rate: int) -> None:
    """Refuse a sound that is too short to be classified. Raises Refused."""
    if samples < int(MIN_SOUND_S * rate):
        refuse("bad_field", f"file: {samples / rate:.3f} s long, at least {MIN_SOUND_S} s; record for longer")


def _decoded(data: bytes, charge: Charge) -> tuple[np.ndarray, int]:
    with open_short(data) as source:
        check_length(source.frames, source.rate)
        charge(estimated_cpu_s(source))
        return source.read_mono(), source.rate


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 4) for name, score in scores.items()}


def models(deps: Dependencies) -> list[dict[str, Any]]:
    """Describe the classifiers in use; none when the one that the settings name cannot be loaded."""
    try:
        classifier = load_classifier(deps.settings)
    except ModelError as fault:
        _failed(fault, deps)
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
