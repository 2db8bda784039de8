"""What is played to whom: noises and heads to learn from, and others to be judged on."""

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
from simulation.scenes import SCENES, Scene, UnusableRecording

RATE = 16_000
PATH_MISMATCH = 0.15
PART_S = 4.8  # of each noise: the recordings last five seconds, and none is heard twice
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
TRAINING, EVALUATED = 4, 2  # recordings of a kind, at most
TRAINING_HEADSETS = 8


class Clip(NamedTuple):
    """A noise by kind and name; `read` makes it sound from its beginning."""

    kind: str
    name: str
    path: Path | None = None
    seed: int = 0

    def read(self) -> Scene:
        """Return it as a scene. Raises UnusableRecording."""
        return copy(_scene(self))


@lru_cache(maxsize=128)
def _scene(clip: Clip) -> Scene:
    if clip.path is None:
        return Scene.built_in(clip.kind, RATE, clip.seed)
    return Scene.from_file(clip.path, RATE)


@dataclass(frozen=True)
class Dataset:
    """Noises to learn from, and noises to be judged on, from other originals."""

    taught: Sequence[Clip]
    judged: Sequence[Clip]


class Family(NamedTuple):
    """Heads that have something in common.

    Attributes
    ----------
    name, about : str
    teachers : sequence of int
        Seeds of the heads to learn from; nobody is judged on them.
    pupils : int
        How many heads to judge on with each noise.
    """

    name: str
    about: str
    teachers: Sequence[int]
    pupils: int

    def head(self, seed: int) -> AcousticPlant:
        """Return a head, as it is before anything sounded."""
        if self.name == "fits":
            return AcousticPlant(seed, RATE, PlantParameters(), PATH_MISMATCH)
        return AcousticPlant(seed, RATE)

    def pupils_for(self, noise: int) -> Sequence[int]:
        """Return the seeds of the heads to judge on with a noise: others for every noise."""
        return range(100 + noise * self.pupils, 100 + (noise + 1) * self.pupils)

    def teaching_heads(self) -> list[AcousticPlant]:
        """Return what the makers of a headset have in their laboratory."""
        if self.name == "fits":
            return [AcousticPlant(0, RATE, PlantParameters())]
        return [AcousticPlant(seed, RATE) for seed in self.teachers]


def families(pupils: int) -> tuple[Family, ...]:
    """Return the families, with so many heads in each to be judged on."""
    heads = range(TRAINING_HEADSETS), pupils
    return (
        Family("fits", "one head whose two paths are each 15 % from the nominal ones", *heads),
        Family("people", "heads of other measures, within the ranges of the simulated head", *heads),
    )


def built_in() -> Dataset:
    """Return the scenes that need no recordings; to be judged on, they are made anew."""
    return Dataset([Clip(name, name, seed=0) for name in SCENES], [Clip(n, n, seed=1) for n in SCENES])


def recorded(folder: Path) -> Dataset:
    """Return recordings of `KINDS` from a folder with `clips.csv`, divided by their originals.

    Raises
    ------
    ValueError
        When there are none.
    """
    of_kind: dict[str, dict[str, Clip]] = defaultdict(dict)
    with (folder / "clips.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            kind, path = row["esc50_class"] or row["esc10_class"], folder / row["path"]
            # Of one original there is one clip, so that no two sides share any.
            if kind in KINDS and row["source_id"] not in of_kind[kind] and _long_enough(path):
                of_kind[kind][row["source_id"]] = Clip(kind, path.stem, path)
    if not of_kind:
        raise ValueError(f"{folder}: no recordings of {', '.join(KINDS)} in clips.csv")
    taught: list[Clip] = []
    judged: list[Clip] = []
    for kind in sorted(of_kind):
        clips = [of_kind[kind][source] for source in sorted(of_kind[kind])]
        judged += clips[0::2][:EVALUATED]
        taught += clips[1::2][:TRAINING]
    return Dataset(taught, judged)


def _long_enough(path: Path) -> bool:
    """Tell whether a recording sounds for `PART_S` without a pause in it."""
    try:
        sound = Scene.from_file(path, RATE).read(int(PART_S * RATE))
    except UnusableRecording:
        return False
    loudness = np.square(sound[: sound.size // 16 * 16]).reshape(16, -1).mean(axis=1)
    return bool(loudness.min() > 1e-4 * loudness.mean())
