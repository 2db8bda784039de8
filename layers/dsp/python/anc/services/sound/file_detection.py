"""Classify noise and detect alarms in sound files."""

from typing import Any

import numpy as np

from anc.noise import ModelError, Prediction
from anc.noise.channels import classify_channels, classify_each, worst
from anc.ports import Dependencies
from anc.schemas.refusal import Refused, refuse
from anc.schemas.websocket import EmergencyState
from anc.services.sound import endpoint_classifier
from anc.services.sound.cpu_budget import Charge, estimated_cpu_s, no_charge, open_charged
from anc.services.sound.detection import load_classifier, report_failure, suspect

MIN_SOUND_S = 0.25  # shortest sound that can be classified
MAX_SAMPLES = 60 * 48_000 * 8  # of a file in a request, over all channels: 92 MB of memory


def classify_file(data: bytes, deps: Dependencies, charge: Charge = no_charge) -> dict[str, Any]:
    """Classify the noise in a sound file of 0.25 s to a minute.

    An alarm in any channel counts; the label is that of all channels together. If an endpoint is configured
    and answers, it classifies the channel in which an alarm is most evident, unless the sound is quiet: the
    label is the endpoint's, and it may detect an alarm that the model of the layer missed, but not silence
    one. `charge` is called with the predicted core-seconds first.

    Raises
    ------
    Refused
        `bad_field` or `too_large` for an invalid file; `unavailable` without a classifier.
    """
    samples, rate, note = _decoded(data, charge)
    try:
        classifier = load_classifier(deps.settings)
    except ModelError as fault:
        report_failure(fault, deps)
        raise Refused("unavailable", "model: cannot be loaded, so noise cannot be classified") from fault
    by_channel = classify_each(classifier, samples, rate)
    prediction = worst(list(by_channel.values()))
    remote = None
    if deps.endpoint.configured and prediction.label != "quiet":
        question = endpoint_classifier.endpoint_request(samples[:, suspect(by_channel)], rate)
        remote = endpoint_classifier.classify(question, deps)
    chosen = remote or prediction
    kinds, emergency = _with_endpoint(prediction, remote)
    return {
        "label": chosen.label,
        "confidence": round(chosen.confidence, 4),
        "probabilities": _rounded(chosen.probabilities),
        "emergency": {"active": emergency, "score": round(max(kinds.values()), 4)},
        "kinds": _rounded(kinds),
        "model": remote.model if remote else classifier.name,
        "sha256": remote.sha256 if remote else classifier.sha256,
        "answered_by": "endpoint" if remote else "layer",
        "truncated": bool(note),
        "note": note,
    }


def _with_endpoint(
    prediction: Prediction, remote: endpoint_classifier.EndpointPrediction | None
) -> tuple[dict[str, float], bool]:
    """Return the scores by kind, and whether there is an emergency: the worst of both models."""
    if remote is None:
        return prediction.kinds, prediction.emergency
    kinds = {kind: max(score, remote.kinds.get(kind, 0.0)) for kind, score in prediction.kinds.items()}
    return kinds, prediction.emergency or remote.emergency


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
        return EmergencyState(True, 0.0, report_failure(fault, deps)), {}, note
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
    with open_charged(data, charge) as source:
        check_length(source.frames, source.rate)
        size = source.frames * source.channels
        if size > MAX_SAMPLES:
            limit = f"file: must have at most {MAX_SAMPLES:,} samples over all channels (got {size:,})"
            refuse("too_large", f"{limit}; use fewer channels or a lower rate, or upload it instead")
        charge(estimated_cpu_s(source))
        return source.read_channels(), source.rate, source.note


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 4) for name, score in scores.items()}
