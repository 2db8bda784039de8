"""`anc evaluate alarms`: how soon an alarm opens a headset that is cancelling, every kind, at five levels."""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.random import Generator

from anc.noise import Classifier, StreamingClassifier, model_file
from anc.noise.classifier import DEFAULT_MODEL
from iot.emergency_detector import EmergencyDetector
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant
from simulation.playback import BLOCK_S
from simulation.scenes import SCENE_S, Scene
from tools.evaluation.simulated_platform import SimulatedHeadset, SimulatedPlatform
from training import synthesis
from training.delays import AFTER_S, BEFORE_S, LEVELS_DB, Mixture, mixture
from training.recordings import Recording, read_recordings
from training.synthesis import RATE, Maker, distort_and_reverberate
from training.taxonomy import label_of

KINDS: dict[str, Maker] = {
    "siren: wail": synthesis.wail,
    "siren: yelp": synthesis.yelp,
    "siren: phaser": synthesis.phaser,
    "siren: hi-lo, European two-tone": synthesis.hi_lo,
    "siren: mechanical": synthesis.mechanical,
    "fire truck: air horns over a siren": synthesis.fire_truck,
    "car horn": synthesis.car_horn,
    "air horns": synthesis.air_horns,
    "reversing beeper": synthesis.beeper,
    "smoke alarm: T3, 520 Hz": partial(synthesis.alarm_t3, tone=520.0),
    "smoke alarm: T3, 3.1 kHz": partial(synthesis.alarm_t3, tone=3100.0),
    "carbon monoxide: T4, 520 Hz": partial(synthesis.alarm_t4, tone=520.0),
    "carbon monoxide: T4, 3.1 kHz": partial(synthesis.alarm_t4, tone=3100.0),
    "building: two tones in turn": synthesis.alternating_alarm,
    "building: sweeping": synthesis.sweeping_alarm,
}
QUICK_KINDS, QUICK_LEVELS_DB = ("siren: wail", "smoke alarm: T3, 3.1 kHz"), (0, 10)
BUILT_IN, RECORDED = "built-in cabin", "recorded aircraft"
TRIALS = {BUILT_IN: 16, RECORDED: 8}
HEADS = range(200, 216)
DETECTION_LIMIT_S = 0.010  # of the end of a block: thrice what a window takes
SEED = 88_000  # neither training's nor that of `training.delays`


class Once:
    """A sound that is played once, and silence after it."""

    def __init__(self, samples: Signal) -> None:
        self._samples = np.asarray(samples, np.float32)
        self._at = 0

    def read(self, n: int) -> Signal:
        """See `simulation.scenes.Noise`."""
        part = self._samples[self._at : self._at + n]
        self._at += n
        return np.pad(part, (0, n - part.size))


@dataclass(frozen=True)
class Opening:
    """What a headset did about an alarm.

    Attributes
    ----------
    noise, kind : str
    level_db : int
        Of the alarm over the noise.
    cancelling : bool
        Whether a filter played alone and in full when the alarm began.
    early : bool
        Whether the headset was open before it began: a false alarm.
    delay_s : float or None
        From the alarm's first sound until nothing of the filter was left; None if it never opened, or early.
    """

    noise: str
    kind: str
    level_db: int
    cancelling: bool
    early: bool
    delay_s: float | None


def measure(
    data: Path | None, quick: bool, progress: Callable[[int, int], None]
) -> tuple[list[Opening], dict[str, str]]:
    """Let alarms begin in the noise that headsets are cancelling, and time how soon they open.

    Parameters
    ----------
    data : Path or None
        Folder of recordings, of which those of aircraft are played as noise besides the built-in cabin.
    quick : bool
        Two kinds at two levels, once each: to see that it runs.
    progress : callable
        `progress(done, all)`.

    Returns
    -------
    openings : list of Opening
    noises : dict of str to str
        What each noise is, in words.

    Raises
    ------
    ValueError, OSError
        The recordings cannot be used.
    ModelError
    """
    classifier = Classifier.load()
    scenes: dict[str, list[Scene]] = {BUILT_IN: [Scene.built_in("cabin", RATE, seed) for seed in HEADS]}
    noises = {BUILT_IN: "the demo's scene, new to the model, which knows cabins of another formula"}
    if data:
        recordings = [r for r in read_recordings(data) if label_of(r.name) == "aircraft"]
        if not recordings:
            raise ValueError(f"{data}: no recordings of aircraft")
        scenes[RECORDED] = [Scene.from_file(r.path, RATE) for r in recordings]
        noises[RECORDED] = _about(recordings)
    planned = [plan for noise in scenes for plan in _plans(noise, quick)]
    openings = []
    with TemporaryDirectory() as folder:
        platform = SimulatedPlatform(Path(folder) / "platform")
        for done, (noise, kind, level, trial) in enumerate(planned):
            rng = np.random.default_rng([SEED, *map(ord, noise + kind), level + 100, trial])
            mixed = _mixed(scenes[noise], kind, level, rng)
            worn = wear(
                platform,
                f"headset-{done}",
                AcousticPlant(HEADS[trial], RATE),
                mixed,
                StreamingClassifier(classifier, RATE),
            )
            openings.append(Opening(noise, kind, level, *watch(worn, mixed)))
            progress(done + 1, len(planned))
    return openings, noises


def _about(recordings: list[Recording]) -> str:
    collections = model_file.load(DEFAULT_MODEL).about["recordings"]
    learnt = sum(r.collection in collections for r in recordings)
    told = f"{learnt} of them are noise that the model learnt from" if learnt else "all new to the model"
    return f"{len(recordings)} recordings; {told}"


def _plans(noise: str, quick: bool) -> Iterator[tuple[str, str, int, int]]:
    for kind in QUICK_KINDS if quick else KINDS:
        for level in QUICK_LEVELS_DB if quick else LEVELS_DB:
            for trial in range(1 if quick else TRIALS[noise]):
                yield noise, kind, level, trial


def _mixed(scenes: list[Scene], kind: str, level_db: int, rng: Generator) -> Mixture:
    alarm = distort_and_reverberate(KINDS[kind](int(AFTER_S * RATE), rng), rng)
    scene = copy(scenes[rng.integers(len(scenes))])  # each is read from its beginning
    scene.read(int(rng.integers(int(SCENE_S * RATE))))
    noise = scene.read(int((BEFORE_S + AFTER_S) * RATE)).astype(np.float64)
    return mixture(alarm, noise, level_db)


def wear(
    platform: SimulatedPlatform,
    thing: str,
    head: AcousticPlant,
    mixed: Mixture,
    emergency_detector: EmergencyDetector,
) -> SimulatedHeadset:
    """Put a headset that was just registered into a noise in which an alarm will begin."""
    platform.register(thing, head)
    return SimulatedHeadset(
        platform,
        thing,
        head,
        Once(mixed.samples),
        emergency_detector=emergency_detector,
        thinking_s=DETECTION_LIMIT_S,
    )


def watch(worn: SimulatedHeadset, mixed: Mixture) -> tuple[bool, bool, float | None]:
    """Let time pass until the headset is open or the alarm over; returns the last three of `Opening`."""
    onset_s, end_s = mixed.onset / RATE, len(mixed.samples) / RATE
    cancelling = False
    while worn.now + BLOCK_S <= end_s:
        begun = worn.now
        worn.sound()
        if begun <= onset_s:
            cancelling = bool(worn.sitting.metrics.played[-1])
        if worn.agent.status.emergency and worn.now <= onset_s:
            return cancelling, True, None
        if worn.agent.status.emergency and worn.controller.active.gain == 0 and worn.controller.steady:
            return cancelling, False, begun - onset_s  # the fade was over when this block began
    return cancelling, False, None
