"""Noises and simulated heads of the control-path evaluation, split into training and test data."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simulation.acoustic_plant import AcousticPlant, PlantParameters
from simulation.conditions import CONDITIONS, Condition
from simulation.playback import QUIET_S
from simulation.scenes import SCENES, Scene, UnusableRecording

RATE = 16_000
PATH_MISMATCH = 0.15
MISMATCH, ANATOMIES = "path mismatch", "anatomies"  # families of heads, sound from one side
DIFFUSE, MOVING = "diffuse field", "moving sources"  # families of heads, sound from many sides
PART_S = 4.8  # duration of each noise: recordings last five seconds and are not repeated
SECONDS = QUIET_S + 2 * PART_S  # duration of a trial
KINDS = (
    "Airplane",
    "Chainsaw",
    "Engine",
    "Helicopter",
    "Rain",
    "Sea waves",
    "Train",
    "Vacuum cleaner",
    "Washing machine",
    "Wind",
)
MAX_TRAINING_CLIPS, MAX_TEST_CLIPS = 4, 2  # per kind
TRAINING_HEADS = 8
TRAINING_SIDE_SEED = 300  # of heads for trials on the training noises
DISTURBED_SEED, DISTURBED_TRAINING_SEED = 500, 600  # of heads and disturbances, for either side
FEW_TRAINING_HEADS, FEW_HEADS, NOISE_STEP = 3, 1, 3  # of `DIFFUSE` and `MOVING`, to limit their time


class Clip(NamedTuple):
    """A noise: a recording, or a built-in scene with a random seed."""

    kind: str
    name: str
    path: Path | None = None
    seed: int = 0

    def read(self) -> Scene:
        """Return the noise as a scene, from its beginning. Raises UnusableRecording."""
        return copy(_scene(self))


@lru_cache(maxsize=128)
def _scene(clip: Clip) -> Scene:
    if clip.path is None:
        return Scene.built_in(clip.kind, RATE, clip.seed)
    return Scene.from_file(clip.path, RATE)


@dataclass(frozen=True)
class Dataset:
    """Training and test noises, from different sources."""

    training: Sequence[Clip]
    test: Sequence[Clip]

    def change_to(self, k: int) -> tuple[Clip, Clip]:
        """Return test noise `k` after one of a different kind."""
        return self.test[k - len(self.test) // 2], self.test[k]


class Family(NamedTuple):
    """Simulated heads that vary in the same respect, in the same acoustic condition.

    Attributes
    ----------
    name, description : str
    training_heads : sequence of int
        Seeds of the training heads; they are not used for testing.
    test_heads : int
        Number of test heads per noise.
    condition : Condition
    noise_step : int
        Every how many test noises are used.
    first_test_seed : int
        Seed of the first test head.
    """

    name: str
    description: str
    training_heads: Sequence[int]
    test_heads: int
    condition: Condition = CONDITIONS["one direction"]
    noise_step: int = 1
    first_test_seed: int = 100

    def head(self, seed: int) -> AcousticPlant:
        """Return a new head."""
        if self.name == MISMATCH:
            return self.condition.plant(seed, RATE, PlantParameters(), PATH_MISMATCH)
        return self.condition.plant(seed, RATE)

    def test_noises(self, noises: "Dataset") -> Sequence[int]:
        """Return the indices of the test noises."""
        return range(0, len(noises.test), self.noise_step)

    def test_seeds(self, noise: int) -> Sequence[int]:
        """Return the seeds of the test heads for a noise; each noise has its own."""
        first = self.first_test_seed + noise * self.test_heads
        return range(first, first + self.test_heads)

    def laboratory_heads(self) -> list[AcousticPlant]:
        """Return the heads that the manufacturer of a headset can measure."""
        if self.name == MISMATCH:
            return [self.condition.plant(0, RATE, PlantParameters())]
        return [self.head(seed) for seed in self.training_heads]


def families(test_heads: int) -> tuple[Family, ...]:
    """Return the families of heads; those with sound from one side have that many test heads per noise."""
    heads = range(TRAINING_HEADS), test_heads
    few_heads = range(FEW_TRAINING_HEADS), FEW_HEADS
    return (
        Family(MISMATCH, "one head whose primary and secondary paths each deviate 15 % from nominal", *heads),
        Family(ANATOMIES, "heads of different dimensions, within the ranges of the simulated head", *heads),
        Family(
            DIFFUSE,
            "16 sources spread evenly around heads of different dimensions",
            *few_heads,
            CONDITIONS["diffuse field"],
            NOISE_STEP,
        ),
        Family(
            MOVING,
            "four sources that each move around heads of different dimensions in about 8 s",
            *few_heads,
            CONDITIONS["moving sources"],
            NOISE_STEP,
        ),
    )


def number_of_trials(noises: Dataset, families: Sequence[Family]) -> int:
    """Return how many pairs of a test noise and a test head there are."""
    return sum(len(family.test_noises(noises)) * family.test_heads for family in families)


def on_training_side(noises: Dataset, families: Sequence[Family]) -> tuple[Dataset, tuple[Family, ...]]:
    """Return what thresholds may be chosen on: half of the training noises for design, half for trials.

    The trials use all of these noises, and heads of their own, one per noise.
    """
    aside = (
        family._replace(test_heads=1, noise_step=1, first_test_seed=TRAINING_SIDE_SEED) for family in families
    )
    return Dataset(noises.training[0::2], noises.training[1::2]), tuple(aside)


def built_in() -> Dataset:
    """Return the built-in scenes; the test scenes have other seeds than the training scenes."""
    return Dataset([Clip(name, name, seed=0) for name in SCENES], [Clip(n, n, seed=1) for n in SCENES])


def recorded(folder: Path) -> Dataset:
    """Return recordings of `KINDS` from a folder with `clips.csv`, split by source.

    Raises
    ------
    ValueError
        The folder has no such recordings.
    """
    of_kind: dict[str, dict[str, Clip]] = defaultdict(dict)
    with (folder / "clips.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            kind, path = row["esc50_class"] or row["esc10_class"], folder / row["path"]
            # One clip per source, so that training and test data share none.
            if kind in KINDS and row["source_id"] not in of_kind[kind] and _long_enough(path):
                of_kind[kind][row["source_id"]] = Clip(kind, path.stem, path)
    if not of_kind:
        raise ValueError(f"{folder}: no recordings of {', '.join(KINDS)} in clips.csv")
    training: list[Clip] = []
    test: list[Clip] = []
    for kind in sorted(of_kind):
        clips = [of_kind[kind][source] for source in sorted(of_kind[kind])]
        test += clips[0::2][:MAX_TEST_CLIPS]
        training += clips[1::2][:MAX_TRAINING_CLIPS]
    return Dataset(training, test)


def _long_enough(path: Path) -> bool:
    """Return whether a recording has no pause within `PART_S`."""
    try:
        sound = Scene.from_file(path, RATE).read(int(PART_S * RATE))
    except UnusableRecording:
        return False
    loudness = np.square(sound[: sound.size // 16 * 16]).reshape(16, -1).mean(axis=1)
    return bool(loudness.min() > 1e-4 * loudness.mean())
