"""A noise that a snapshot left in doubt is named again by the endpoint, while its filter is on its way."""

import msgspec

from anc.ports import World
from anc.records import Control
from anc.services import opinions
from anc.services.opinions import Question
from anc.wire.refusal import parse_json
from anc.wire.snapshot import Snapshot
from anc.wire.websocket import NoiseHeard, as_float


class Doubt(msgspec.Struct, frozen=True):
    """What waits in the queue: what a snapshot was taken for, and the sound of its reference microphone."""

    thing: str
    seq: int
    label: str
    question: Question


def doubtful(noise: NoiseHeard | None, world: World) -> bool:
    """Tell whether a larger model should be asked, and there is one."""
    if noise is None or noise.label == "quiet" or not world.endpoint.present:
        return False
    return noise.confidence < world.settings.ml_confidence_threshold


def standing(noise: NoiseHeard | None, known: Control, world: World) -> NoiseHeard | None:
    """Return what a noise is called until the endpoint says more.

    That is its name as heard; but a doubtful one that the endpoint renamed the last time keeps that name,
    lest it change to and fro with every snapshot.
    """
    if noise and noise.label == known.doubted and doubtful(noise, world):
        return NoiseHeard(known.noise, known.confidence)
    return noise


def seek(thing: str, snapshot: Snapshot, noise: NoiseHeard | None, world: World) -> None:
    """Queue a doubtful snapshot for the endpoint.

    A summary is no sound, and the larger model cannot hear it: privacy costs the second opinion.
    """
    if noise is None or snapshot.pcm is None or not doubtful(noise, world):
        return
    question = opinions.question(as_float(snapshot.pcm[:, 0]), snapshot.rate)
    world.opinions.send(msgspec.to_builtins(Doubt(thing, snapshot.seq, noise.label, question)))
    world.count("opinions_sought")


def give(message: str, world: World) -> None:
    """Ask the endpoint about a snapshot that waits, and rename its noise if it still is the headset's latest.

    Raises
    ------
    Refused
        `bad_json` or `bad_field` when the message is none of `seek`'s.
    Conflict
        A snapshot was committed meanwhile; try again.
    """
    doubt: Doubt = parse_json(message, Doubt)
    if _latest(doubt, world) is None:
        return
    opinion = opinions.ask(doubt.question, world)
    known = _latest(doubt, world)
    if opinion is None or known is None:
        return
    confidence = round(opinion.confidence, 3)
    renamed = known.but(noise=opinion.label, confidence=confidence, doubted=doubt.label)
    if renamed != known:
        world.controls.put(renamed)
        world.count("opinions_given")
    world.updates.send({"thing": doubt.thing})


def _latest(doubt: Doubt, world: World) -> Control | None:
    known = world.controls.get(doubt.thing)
    if known is not None and known.seq == doubt.seq:
        return known
    world.count("opinions_too_late")
    return None
