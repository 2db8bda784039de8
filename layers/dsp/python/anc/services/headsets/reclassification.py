"""Reclassification: the endpoint classifies a snapshot again when the layer's classifier was uncertain."""

from anc.headset_records import Control
from anc.pcm import int16_to_float
from anc.ports import Dependencies
from anc.schemas.messages import ControlChanged, ReclassificationRequest
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import NoisePrediction
from anc.services.sound import endpoint_classifier


def is_uncertain(noise: NoisePrediction | None, deps: Dependencies) -> bool:
    """Return whether the confidence is below the threshold, and there is an endpoint to classify again."""
    if noise is None or noise.label == "quiet" or not deps.endpoint.configured:
        return False
    return noise.confidence < deps.settings.ml_confidence_threshold


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


def request(thing: str, snapshot: Snapshot, noise: NoisePrediction | None, deps: Dependencies) -> None:
    """Queue a snapshot with an uncertain label for the endpoint.

    Snapshots of private mode are never queued: the endpoint needs sound, and they hold statistics only.
    """
    if noise is None or snapshot.pcm is None or not is_uncertain(noise, deps):
        return
    question = endpoint_classifier.endpoint_request(int16_to_float(snapshot.pcm[:, 0]), snapshot.rate)
    deps.reclassifications.send(ReclassificationRequest(thing, snapshot.seq, noise.label, question))
    deps.count("reclassifications_requested")


def reclassify(request: ReclassificationRequest, deps: Dependencies) -> None:
    """Classify a snapshot with the endpoint, and store the label if no later snapshot was committed.

    Raises
    ------
    Conflict
        A snapshot was committed meanwhile; try again.
    """
    if _current(request, deps) is None:
        return
    prediction = endpoint_classifier.classify(request.question, deps)
    known = _current(request, deps)
    if prediction is None or known is None:
        return
    renamed = known.replace(
        noise=prediction.label, confidence=round(prediction.confidence, 3), reclassified_from=request.label
    )
    if renamed != known:
        deps.controls.put(renamed)
        deps.count("reclassifications_done")
    deps.updates.send(ControlChanged(request.thing))


def _current(request: ReclassificationRequest, deps: Dependencies) -> Control | None:
    """Return the headset's control while the snapshot of the request is its latest one."""
    known = deps.controls.get(request.thing)
    if known is not None and known.seq == request.seq:
        return known
    deps.count("reclassifications_too_late")
    return None
