"""A noise that a snapshot left in doubt is named again by the endpoint, while its filter is on its way."""

import msgspec

from anc.pcm import int16_to_float
from anc.ports import Dependencies
from anc.records import Control
from anc.schemas.refusal import parse_json
from anc.schemas.snapshot import Snapshot
from anc.schemas.websocket import NoisePrediction
from anc.services.sound import endpoint_classifier
from anc.services.sound.endpoint_classifier import EndpointRequest


class ReclassificationRequest(msgspec.Struct, frozen=True):
    """What waits in the queue: what a snapshot was taken for, and the sound of its reference microphone."""

    thing: str
    seq: int
    label: str
    question: EndpointRequest


def is_uncertain(noise: NoisePrediction | None, deps: Dependencies) -> bool:
    """Tell whether a larger model should be asked, and there is one."""
    if noise is None or noise.label == "quiet" or not deps.endpoint.present:
        return False
    return noise.confidence < deps.settings.ml_confidence_threshold


def current_label(
    noise: NoisePrediction | None, known: Control, deps: Dependencies
) -> NoisePrediction | None:
    """Return what a noise is called until the endpoint says more.

    That is its name as heard; but a doubtful one that the endpoint renamed the last time keeps that name,
    lest it change to and fro with every snapshot.
    """
    if noise and noise.label == known.reclassified_from and is_uncertain(noise, deps):
        return NoisePrediction(known.noise, known.confidence)
    return noise


def request(thing: str, snapshot: Snapshot, noise: NoisePrediction | None, deps: Dependencies) -> None:
    """Queue a doubtful snapshot for the endpoint.

    A summary is no sound, and the larger model cannot hear it: privacy costs the second opinion.
    """
    if noise is None or snapshot.pcm is None or not is_uncertain(noise, deps):
        return
    question = endpoint_classifier.endpoint_request(int16_to_float(snapshot.pcm[:, 0]), snapshot.rate)
    deps.reclassifications.send(
        msgspec.to_builtins(ReclassificationRequest(thing, snapshot.seq, noise.label, question))
    )
    deps.count("opinions_sought")


def reclassify(message: str, deps: Dependencies) -> None:
    """Ask the endpoint about a snapshot that waits, and rename its noise if it still is the headset's latest.

    Raises
    ------
    Refused
        `bad_json` or `bad_field` when the message is none of `seek`'s.
    Conflict
        A snapshot was committed meanwhile; try again.
    """
    doubt: ReclassificationRequest = parse_json(message, ReclassificationRequest)
    if _latest(doubt, deps) is None:
        return
    opinion = endpoint_classifier.classify(doubt.question, deps)
    known = _latest(doubt, deps)
    if opinion is None or known is None:
        return
    confidence = round(opinion.confidence, 3)
    renamed = known.replace(noise=opinion.label, confidence=confidence, reclassified_from=doubt.label)
    if renamed != known:
        deps.controls.put(renamed)
        deps.count("opinions_given")
    deps.updates.send({"thing": doubt.thing})


def _latest(doubt: ReclassificationRequest, deps: Dependencies) -> Control | None:
    known = deps.controls.get(doubt.thing)
    if known is not None and known.seq == doubt.seq:
        return known
    deps.count("opinions_too_late")
    return None
