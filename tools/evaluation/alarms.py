"""`anc evaluate alarms`: measure the reaction time of headsets to every kind of alarm, at five levels."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from anc.noise import Classifier, MultichannelClassifier, model_file
from anc.noise.classifier import DEFAULT_MODEL
from iot.emergency_detector import EmergencyDetector
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant
from simulation.headset import MICROPHONES
from simulation.playback import BLOCK_S
from simulation.scenes import SCENE_S, Scene
from tools.evaluation.mixture import AFTER_S, BEFORE_S, LEVELS_DB, Mixture, mixture
from tools.evaluation.simulated_platform import SimulatedHeadset, SimulatedPlatform
from training import synthesis
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
HEAD_SEEDS = range(200, 216)
PROCESSING_S = 0.010  # after the end of a block: three times what a window takes
SEED = 88_000  # not used in training
CONTEXT = multiprocessing.get_context("spawn")


class OneShot:
    """A sound followed by silence."""

    def __init__(self, samples: Signal) -> None:
        self._samples = np.asarray(samples, np.float32)
        self._at = 0

    def read(self, n: int) -> Signal:
        """See `simulation.scenes.Noise`."""
        part = self._samples[self._at : self._at + n]
        self._at += n
        return np.pad(part, (0, n - part.size))


class Plan(NamedTuple):
    """One trial: noise, kind of alarm, its level, and the number of the trial, which chooses the head."""

    noise: str
    kind: str
    level_db: int
    trial: int


@dataclass(frozen=True)
class Response:
    """A headset's response to an alarm.

    Attributes
    ----------
    noise, kind : str
    level_db : int
        Level of the alarm relative to the noise.
    cancelling : bool
        Whether a filter was fully faded in when the alarm started.
    false_alarm : bool
        Whether the headset switched to transparency before the alarm.
    delay_s : float or None
        Time from the start of the alarm until the filter is faded out; None for a missed or false alarm.
    """

    noise: str
    kind: str
    level_db: int
    cancelling: bool
    false_alarm: bool
    delay_s: float | None


def measure(
    data: Path | None, quick: bool, progress: Callable[[int, int], None]
) -> tuple[list[Response], dict[str, str]]:
    """Play alarms to headsets that are cancelling noise, and measure their reaction times.

    Parameters
    ----------
    data : Path or None
        Folder of recordings; those of aircraft are used as noise in addition to the built-in cabin.
    quick : bool
        Two kinds at two levels, once each.
    progress : callable
        `progress(done, total)`.

    Returns
    -------
    responses : list of Response
    noises : dict of str to str
        Descriptions of the noises.

    Raises
    ------
    ValueError, OSError
        The recordings cannot be used.
    ModelError
    """
    noises = {BUILT_IN: "the cabin of `anc demo`; the model was trained on other synthetic cabins"}
    if data:
        recordings = _aircraft(data)
        if not recordings:
            raise ValueError(f"{data}: contains no recordings of aircraft")
        noises[RECORDED] = _describe(recordings)
    plans = [
        list(_plans(noise, kind, quick)) for noise in noises for kind in (QUICK_KINDS if quick else KINDS)
    ]
    number = sum(map(len, plans))
    responses: list[Response] = []
    with ExitStack() as stack:
        if quick:
            _begin(data)
            results: Iterator[list[Response]] = map(_measure_kind, plans)
        else:
            pool = stack.enter_context(ProcessPoolExecutor(os.cpu_count(), CONTEXT, _begin, (data,)))
            results = pool.map(_measure_kind, plans)
        for some in results:
            responses += some
            progress(len(responses), number)
    return responses, noises


def _aircraft(data: Path) -> list[Recording]:
    return [r for r in read_recordings(data) if label_of(r.name) == "aircraft"]


_scenes: dict[str, list[Scene]] = {}  # of this process


def _begin(data: Path | None) -> None:
    _scenes[BUILT_IN] = [Scene.built_in("cabin", RATE, seed) for seed in HEAD_SEEDS]
    _scenes[RECORDED] = [Scene.from_file(r.path, RATE) for r in _aircraft(data)] if data else []


def _measure_kind(plans: list[Plan]) -> list[Response]:
    """Play one kind of alarm in one noise, to headsets of one platform."""
    classifier = Classifier.load()
    responses = []
    with TemporaryDirectory() as folder:
        platform = SimulatedPlatform(Path(folder) / "platform")
        for number, (noise, kind, level, trial) in enumerate(plans):
            rng = np.random.default_rng([SEED, *map(ord, noise + kind), level + 100, trial])
            mixed = _mixed(_scenes[noise], kind, level, rng)
            headset = registered_headset(
                platform,
                f"headset-{number}",
                AcousticPlant(HEAD_SEEDS[trial], RATE),
                mixed,
                MultichannelClassifier(classifier, RATE, MICROPHONES),
            )
            responses.append(Response(noise, kind, level, *run_alarm(headset, mixed)))
    return responses


def _describe(recordings: list[Recording]) -> str:
    collections = model_file.load(DEFAULT_MODEL).about["recordings"]
    trained_on = sum(r.collection in collections for r in recordings)
    share = f"{trained_on} of them are in the training data" if trained_on else "none in the training data"
    return f"{len(recordings)} recordings; {share}"


def _plans(noise: str, kind: str, quick: bool) -> Iterator[Plan]:
    for level in QUICK_LEVELS_DB if quick else LEVELS_DB:
        for trial in range(1 if quick else TRIALS[noise]):
            yield Plan(noise, kind, level, trial)


def _mixed(scenes: list[Scene], kind: str, level_db: int, rng: Generator) -> Mixture:
    alarm = distort_and_reverberate(KINDS[kind](int(AFTER_S * RATE), rng), rng)
    scene = copy(scenes[rng.integers(len(scenes))])  # with its own read position
    scene.read(int(rng.integers(int(SCENE_S * RATE))))
    noise = scene.read(int((BEFORE_S + AFTER_S) * RATE)).astype(np.float64)
    return mixture(alarm, noise, level_db)


def registered_headset(
    platform: SimulatedPlatform,
    thing: str,
    head: AcousticPlant,
    mixed: Mixture,
    emergency_detector: EmergencyDetector,
) -> SimulatedHeadset:
    """Register a headset and return it, in a noise with an alarm."""
    platform.register(thing, head)
    return SimulatedHeadset(
        platform,
        thing,
        head,
        OneShot(mixed.samples),
        emergency_detector=emergency_detector,
        processing_s=PROCESSING_S,
    )


def run_alarm(headset: SimulatedHeadset, mixed: Mixture) -> tuple[bool, bool, float | None]:
    """Run until the filter is faded out or the alarm ends; return the last three fields of `Response`."""
    onset_s, end_s = mixed.onset / RATE, len(mixed.samples) / RATE
    cancelling = False
    while headset.now + BLOCK_S <= end_s:
        block_start_s = headset.now
        headset.play_block()
        if block_start_s <= onset_s:
            cancelling = bool(headset.simulation.metrics.played[-1])
        if headset.agent.status.emergency and headset.now <= onset_s:
            return cancelling, True, None
        controller = headset.controller
        if headset.agent.status.emergency and controller.active.gain == 0 and controller.steady:
            return cancelling, False, block_start_s - onset_s  # the fade had ended when this block started
    return cancelling, False, None
