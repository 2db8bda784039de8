"""`anc evaluate false-alarms`: how often a headset opens without an alarm, in hours of everyday sound."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc.noise import Classifier, MultichannelClassifier, model_file
from anc.noise.channels import HOP_S
from anc.noise.classifier import DEFAULT_MODEL
from tools.evaluation import everyday_material, tonal_sounds
from tools.evaluation.everyday_material import HOURS, RATE, Clip

HOUR_S, QUICK_S = 3600.0, 60.0
TRIALS, QUICK_TRIALS = 3, 1
BACKGROUND_DBFS = (None, -30.0)  # of the noise with which tonal sounds are mixed
TONE_DBFS = -15.0
SEED = 91_000  # not used in training
TARGET_PER_HOUR = 1.0
Progress = Callable[[int, int], None]


@dataclass
class Openings:
    """How often the detector switched to transparency in a stream.

    Attributes
    ----------
    seconds, open_s : float
        Length of the stream, and how long it was open, including the hold.
    openings : int
        Switches from closed to open: what a wearer notices.
    causes : Counter of str
        Openings by class of the recording that was playing.
    unseen_s, unseen_openings : float, int
        The same for recordings on which the model was not trained.
    kinds : Counter of str
        Openings by the kind that was detected: siren, horn or alarm.
    """

    seconds: float = 0.0
    open_s: float = 0.0
    openings: int = 0
    unseen_s: float = 0.0
    unseen_openings: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)


def listen(
    detector: MultichannelClassifier,
    sounds: Iterable[tuple[Clip, NDArray[np.float32]]],
    unseen: Callable[[Clip], bool],
    on_progress: Callable[[float], None] = lambda seconds: None,
) -> Openings:
    """Play sounds to a detector without a pause, as a headset runs it, and count its openings."""
    found, hop = Openings(), int(HOP_S * RATE)
    for clip, sound in sounds:
        new = unseen(clip)
        for start in range(0, len(sound), hop):
            block = sound[start : start + hop]
            was_open = detector.holding
            predictions = detector.process(block)
            found.seconds += block.size / RATE
            found.open_s += detector.holding * block.size / RATE
            found.unseen_s += new * block.size / RATE
            if detector.holding and not was_open:
                found.openings += 1
                found.unseen_openings += new
                found.causes[clip.name] += 1
                alarm = next(one for one in predictions if one.emergency)
                found.kinds[max(alarm.kinds, key=alarm.kinds.__getitem__)] += 1
        on_progress(found.seconds)
    return found


def measure(data: Path | None, quick: bool, progress: Progress) -> dict[str, Any]:
    """Return the report.

    Parameters
    ----------
    data : Path or None
        Folder of recordings; without one, only the sounds made by formula are played.
    quick : bool
        A minute of each instead of an hour, one variation of each tonal sound.
    progress : callable
        `progress(done, total)` in seconds of sound.

    Raises
    ------
    ValueError, OSError, Refused
        The recordings cannot be used.
    ModelError
    """
    classifier, about = Classifier.load(), model_file.load(DEFAULT_MODEL).about
    clips = everyday_material.read_clips(data) if data else []
    hour_s, trials = (QUICK_S, QUICK_TRIALS) if quick else (HOUR_S, TRIALS)
    tonal_s = len(tonal_sounds.SOUNDS) * trials * len(BACKGROUND_DBFS) * tonal_sounds.SECONDS
    total = int(tonal_s + bool(clips) * hour_s * len(HOURS))
    begun, played = time.process_time(), 0.0
    hours: dict[str, Any] = {}
    for index, hour in enumerate(HOURS if clips else ()):
        chosen = everyday_material.of_hour(clips, hour)
        if not chosen:
            continue
        sounds = everyday_material.stream(chosen, hour, hour_s, np.random.default_rng([SEED, index]))
        detector = MultichannelClassifier(classifier, RATE)
        before = played
        found = listen(
            detector,
            sounds,
            lambda clip: not trained_on(clip, about),
            lambda seconds, before=before: progress(int(before + seconds), total),  # type: ignore[misc]
        )
        played += found.seconds
        hours[hour] = _hour(found, chosen)
    tonal = {}
    for name in tonal_sounds.SOUNDS:
        fired, plays = _tonal(classifier, name, trials)
        tonal[name] = {"fired": fired, "plays": plays}
        played += plays * tonal_sounds.SECONDS
        progress(int(played), total)
    return {
        "model": classifier.sha256,
        "trained_on": sorted(about.get("recordings", ())),
        "threshold": classifier.threshold,
        "target_per_hour": TARGET_PER_HOUR,
        "cpu_s_per_hour": round((time.process_time() - begun) * 3600 / max(played, 1.0), 1),
        "hours": hours,
        "tonal": tonal,
        "tonal_fired": sum(one["fired"] for one in tonal.values()),
        "tonal_plays": sum(one["plays"] for one in tonal.values()),
    }


def trained_on(clip: Clip, about: dict[str, Any]) -> bool:
    """Return whether the model was trained on the collection of a recording."""
    return clip.trainable and clip.collection in about.get("recordings", ())


def _hour(found: Openings, chosen: Sequence[Clip]) -> dict[str, Any]:
    return {
        "recordings": len(chosen),
        "minutes": round(found.seconds / 60, 1),
        "openings": found.openings,
        "per_hour": round(found.openings * 3600 / found.seconds, 2),
        "open_percent": round(100 * found.open_s / found.seconds, 2),
        "unseen_minutes": round(found.unseen_s / 60, 1),
        "unseen_openings": found.unseen_openings,
        "unseen_per_hour": round(found.unseen_openings * 3600 / found.unseen_s, 2)
        if found.unseen_s
        else None,
        "causes": dict(found.causes.most_common()),
        "kinds": dict(found.kinds.most_common()),
    }


def _tonal(classifier: Classifier, name: str, trials: int) -> tuple[int, int]:
    """Return how many variations of a tonal sound open the headset, and how many were played."""
    fired = plays = 0
    for trial in range(trials):
        for background in BACKGROUND_DBFS:
            rng = np.random.default_rng([SEED, *map(ord, name), trial])
            sound = tonal_sounds.SOUNDS[name](rng)
            sound *= 10 ** (TONE_DBFS / 20) / np.sqrt(np.mean(sound**2))
            if background is not None:
                sound = sound + rng.standard_normal(sound.size) * 10 ** (background / 20)
            detector = MultichannelClassifier(classifier, RATE)
            fired += any(one.emergency for one in detector.process(np.clip(sound, -1, 1)))
            plays += 1
    return fired, plays
