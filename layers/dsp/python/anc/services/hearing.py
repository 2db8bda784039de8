"""What the platform hears in a live block or a snapshot. When it cannot hear, it lets the world in."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from aws_lambda_powertools import Logger

from anc.audio.reader import open_short
from anc.dsp import onset
from anc.noise import Classifier, Hearing, Listener, ModelError
from anc.noise.classifier import KINDS, LABELS
from anc.ports import World
from anc.records import Stream
from anc.services import opinions
from anc.services.work import Charge, free, predicted_s
from anc.settings import Settings
from anc.wire.refusal import Refused, refuse
from anc.wire.snapshot import Snapshot
from anc.wire.websocket import EmergencyHeard, NoiseHeard, as_float

SHORTEST_S = 0.25  # of a sound that can be classified
DEAF = "hearing is out of order, so the headset is open to the world"
UNTAUGHT = "the hearing model cannot be loaded, so the headset is open to the world"
FAULTS = (DEAF, UNTAUGHT)
ALARM_S = 0.4  # of less, repeated to fill a second, many times as much passes for an alarm
DEAF_FOR_S = 60.0  # a headset sends its next snapshot well before: it stays open until somebody hears again

logger = Logger(service="hearing")


class Heard(NamedTuple):
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

    noise: NoiseHeard | None
    emergency: EmergencyHeard
    until: float
    kind: str = ""
    state: bytes = b""
    listener: Listener | None = None


def listen(stream: Stream, kept: Listener | None, x: np.ndarray, world: World) -> Heard:
    """Hear one more block of a stream.

    After a gap it goes on with what was heard before: it needs a second of sound, which a session that skips
    blocks again and again would never have, and then no alarm would open it.

    Parameters
    ----------
    kept : Listener or None
        The listener as the stream's bytes have it, if it need not be made from them.
    """
    settings = world.settings
    at = (stream.samples + x.size) / stream.rate
    try:
        classifier = load(settings)
        if stream.hearing:
            listener = kept or Listener.from_state(classifier, stream.hearing)
        else:
            listener = Listener(classifier, stream.rate)
        alarms = [hearing for hearing in listener.hear(x) if hearing.emergency]
    except Exception as fault:  # noqa: BLE001  whatever it was: a deaf platform must not silence the world
        why = _deaf(fault, world)
        return Heard(None, EmergencyHeard(settings.emergency_detection_enabled, 0.0, why), at)
    alarm = alarms[-1] if alarms and settings.emergency_detection_enabled else None
    until = at + settings.emergency_hold_s if alarm else stream.emergency_until
    score = listener.latest.emergency_score if listener.latest else 0.0
    emergency = EmergencyHeard(at < until, round(score, 3))
    return Heard(_noise(listener.latest), emergency, until, _kind(alarm), listener.state(), listener)


def of_snapshot(snapshot: Snapshot, world: World) -> Heard:
    """Hear a headset's snapshot, or its log-mel summary.

    Raises
    ------
    Refused
        `bad_field` when there is too little in it, or the summary is none.
    """
    settings = world.settings
    now = world.clock()
    try:
        classifier = load(settings)
        if snapshot.pcm is None:
            hearing = classifier.classify_summary(snapshot.summary)
        else:
            x = as_float(snapshot.pcm[:, 0])
            # Noise out of quiet would pass for a bang: what sounded is heard again until it is as long.
            hearing = classifier.classify(np.resize(x[onset(x) :], x.size), snapshot.rate)
    except ValueError as fault:
        raise Refused("bad_field", f"snapshot: {fault}") from fault
    except Exception as fault:  # noqa: BLE001  as above
        why = _deaf(fault, world)
        if not settings.emergency_detection_enabled:
            return Heard(None, EmergencyHeard(False, 0.0), 0.0)
        return Heard(None, EmergencyHeard(True, 0.0, why), now + max(DEAF_FOR_S, settings.emergency_hold_s))
    enough = snapshot.samples >= ALARM_S * snapshot.rate
    judged = hearing.emergency and enough and settings.emergency_detection_enabled
    kind = _kind(hearing if judged else None)
    emergency = EmergencyHeard(bool(kind), round(hearing.emergency_score, 3), f"{kind} heard" if kind else "")
    return Heard(_noise(hearing), emergency, now + settings.emergency_hold_s if kind else 0.0, kind)


def load(settings: Settings) -> Classifier:
    """Return the classifier that the settings name, loaded once. Raises anc.noise.ModelError."""
    return _load(settings.ml_model_path, settings.emergency_confidence_threshold)


@cache
def _load(path: str, threshold: float) -> Classifier:
    return Classifier.load(path or None, threshold)


def _deaf(fault: Exception, world: World) -> str:
    """Log and count that hearing failed; returns why, for those who may not know where files lie."""
    why = UNTAUGHT if isinstance(fault, ModelError) else DEAF
    logger.error(why, fault=f"{type(fault).__name__}: {fault}")
    world.count("hearing_failed")
    return why


def _kind(alarm: Hearing | None) -> str:
    return max(alarm.kinds, key=alarm.kinds.__getitem__) if alarm else ""


def _noise(hearing: Hearing | None) -> NoiseHeard | None:
    return NoiseHeard(hearing.label, round(hearing.confidence, 3)) if hearing else None


def classify_file(data: bytes, world: World, charge: Charge = free) -> dict[str, Any]:
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
        classifier = load(world.settings)
    except ModelError as fault:
        _deaf(fault, world)
        raise Refused("unavailable", "model: it cannot be loaded, so noise cannot be named") from fault
    hearing = classifier.classify(mono, rate)
    opinion = None
    if world.endpoint.present and hearing.label != "quiet":
        opinion = opinions.ask(opinions.question(mono, rate), world)
    named = opinion or hearing
    return {
        "label": named.label,
        "confidence": round(named.confidence, 4),
        "probabilities": _rounded(named.probabilities),
        "emergency": {"active": hearing.emergency, "score": round(hearing.emergency_score, 4)},
        "kinds": _rounded(hearing.kinds),
        "model": opinion.model if opinion else classifier.name,
        "sha256": opinion.sha256 if opinion else classifier.sha256,
        "answered_by": "endpoint" if opinion else "layer",
    }


def emergency_in_file(
    data: bytes, world: World, charge: Charge = free
) -> tuple[EmergencyHeard, dict[str, float]]:
    """Tell whether an alarm is in a sound file, and the score of each kind of alarm.

    `charge` gets the predicted core-seconds first.

    Raises
    ------
    Refused
        Naming what is wrong with the file. When hearing itself fails, the answer is that there is an alarm.
    """
    mono, rate = _decoded(data, charge)
    try:
        hearing = load(world.settings).classify(mono, rate)
    except Exception as fault:  # noqa: BLE001  as above
        return EmergencyHeard(True, 0.0, _deaf(fault, world)), {}
    return EmergencyHeard(hearing.emergency, round(hearing.emergency_score, 4)), _rounded(hearing.kinds)


def check_length(samples: int, rate: int) -> None:
    """Refuse a sound that is too short to be classified. Raises Refused."""
    if samples < int(SHORTEST_S * rate):
        refuse("bad_field", f"file: {samples / rate:.3f} s long, at least {SHORTEST_S} s; record for longer")


def _decoded(data: bytes, charge: Charge) -> tuple[np.ndarray, int]:
    with open_short(data) as source:
        check_length(source.frames, source.rate)
        charge(predicted_s(source))
        return source.read_mono(), source.rate


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 4) for name, score in scores.items()}


def models(world: World) -> list[dict[str, Any]]:
    """Describe the classifiers in use; none when the one that the settings name cannot be loaded."""
    try:
        classifier = load(world.settings)
    except ModelError as fault:
        _deaf(fault, world)
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
