"""Reclassification: the endpoint classifies a snapshot again when the layer's classifier was uncertain.

It may raise an emergency that the layer's classifier missed. It never ends or prevents one.
"""

from anc.headset_records import Control
from anc.pcm import int16_to_float
from anc.ports import Dependencies
from anc.schemas.messages import ControlChanged, ReclassificationRequest
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import NoisePrediction
from anc.services import emergencies
from anc.services.headsets import emergency_hold
from anc.services.sound import endpoint_classifier
from anc.services.sound.detection import Detection
from anc.services.sound.endpoint_classifier import EndpointPrediction

SUSPECT_SCORE = 0.3  # emergency score from which the endpoint is asked, below the one of an emergency
MAX_ALARM_AGE_S = 10.0  # of a snapshot in which the endpoint detects an alarm: the hold of an alarm


def is_uncertain(noise: NoisePrediction | None, deps: Dependencies) -> bool:
    """Return whether the confidence is below the threshold, and there is an endpoint to classify again."""
    if noise is None or noise.label == "quiet" or not deps.endpoint.configured:
        return False
    return noise.confidence < deps.settings.ml_confidence_threshold


def is_suspect(detected: Detection, deps: Dependencies) -> bool:
    """Return whether an alarm is possible but was not detected, and there is an endpoint to decide."""
    if not (deps.endpoint.configured and deps.settings.emergency_detection_enabled):
        return False
    return not detected.emergency.active and detected.emergency.score >= SUSPECT_SCORE


def current_label(
    noise: NoisePrediction | None, known: Control, deps: Dependencies
) -> NoisePrediction | None:
    """Return the label to use until the endpoint answers.

    It is the classifier's own, with one exception: an uncertain label that the endpoint replaced the last
    time stays replaced, so that the displayed noise does not alternate with every snapshot.
    """
    if noise and noise.label == known.reclassified_from and is_uncertain(noise, deps):
        return NoisePrediction(known.noise, known.confidence)
    return noise


def request(thing: str, snapshot: Snapshot, detected: Detection, known: Control, deps: Dependencies) -> None:
    """Queue a snapshot with a possible alarm, or with an uncertain label that the endpoint has not replaced.

    Snapshots of private mode are never queued: the endpoint needs sound, and they hold statistics only. Short
    ones are queued for a possible alarm only.
    """
    noise = detected.noise
    uncertain, suspect = is_uncertain(noise, deps), is_suspect(detected, deps)
    if noise is not None and noise.label == known.reclassified_from:
        uncertain = False  # the endpoint replaced this label the last time
    if snapshot.is_short:
        uncertain = False  # the answer would come after the next snapshot
    if noise is None or snapshot.pcm is None or not (uncertain or suspect):
        return
    sound = int16_to_float(snapshot.pcm[:, detected.channel])
    question = endpoint_classifier.endpoint_request(sound, snapshot.rate)
    deps.reclassifications.send(
        ReclassificationRequest(thing, snapshot.seq, noise.label, question, uncertain, suspect, deps.clock())
    )
    deps.count("reclassifications_requested")


def reclassify(request: ReclassificationRequest, deps: Dependencies) -> None:
    """Classify a snapshot with the endpoint; store the label if no later snapshot was committed.

    An alarm switches the headset to transparency even then, unless the snapshot is too old.

    Raises
    ------
    Conflict
        A snapshot was committed meanwhile; try again.
    """
    _finish_interrupted(request.thing, deps)
    if _current(request, deps) is None and not (request.suspect and _is_recent(request, deps)):
        return
    prediction = endpoint_classifier.classify(request.question, deps)
    if prediction is None:
        return
    if _raises_emergency(prediction, request, deps):
        _open(request, prediction, deps)
    known = _current(request, deps)
    if known is None or not request.uncertain:
        return
    renamed = known.replace(
        noise=prediction.label, confidence=round(prediction.confidence, 3), reclassified_from=request.label
    )
    if renamed != known:
        deps.controls.put(renamed)
        deps.count("reclassifications_done")
        if renamed.noise == known.noise:
            return  # a confidence alone is not worth an update of the shadow
    deps.updates.send(ControlChanged(request.thing))


def _is_recent(request: ReclassificationRequest, deps: Dependencies) -> bool:
    return deps.clock() - request.at <= MAX_ALARM_AGE_S


def _raises_emergency(
    prediction: EndpointPrediction, request: ReclassificationRequest, deps: Dependencies
) -> bool:
    return prediction.emergency and deps.settings.emergency_detection_enabled and _is_recent(request, deps)


def _finish_interrupted(thing: str, deps: Dependencies) -> None:
    """Announce an alarm whose processing stopped between its commit and its announcement."""
    known = deps.controls.get(thing)
    if known is not None and known.pending_emergency:
        deps.updates.send(ControlChanged(thing))
        emergencies.flush_pending_emergency(known, deps.controls, deps)


def _open(request: ReclassificationRequest, prediction: EndpointPrediction, deps: Dependencies) -> None:
    known = deps.controls.get(request.thing)
    if known is None:
        return
    score = round(prediction.emergency_score, 3)
    opened = deps.controls.put(emergency_hold.opened(known, prediction.kind, score, deps, request.at))
    deps.count("emergencies_of_endpoint")
    deps.updates.send(ControlChanged(request.thing))
    emergencies.flush_pending_emergency(opened, deps.controls, deps)


def _current(request: ReclassificationRequest, deps: Dependencies) -> Control | None:
    """Return the headset's control while the snapshot of the request is its latest one."""
    known = deps.controls.get(request.thing)
    if known is not None and known.seq == request.seq:
        return known
    deps.count("reclassifications_too_late")
    return None
