"""Build the training set: clips composed in parallel, and cached in a folder."""

import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from rich.progress import Progress

from training.clips.compose import Composer
from training.clips.sources import read_sources, synthesise
from training.recordings import Recording
from training.synthesis import RATE, Signal
from training.teacher import Teacher

EMERGENCIES = ("siren", "car_horn", "alarm")  # noise classes that learn from their kinds as well
RESPONSES = "rirs"  # folder of impulse responses beside a table of recordings
CONTEXT = multiprocessing.get_context("spawn")  # a fork may deadlock: PyTorch has threads
PIECE = 200  # clips that a worker composes at once
STAMP_FILE = "stamp.json"
RAREST = 1e-4  # share of a noise class


@dataclass(frozen=True)
class Dataset:
    """Training clips, stacked; see `Clip` for the arrays.

    Attributes
    ----------
    classes : list of str
        Noise classes.
    """

    classes: list[str]
    spectrograms: NDArray[np.uint8]
    noise: NDArray[np.int16]
    share: NDArray[np.float16]
    kinds: NDArray[np.float16]
    taught: NDArray[np.float16]
    folds: NDArray[np.int16]

    @cached_property
    def odds(self) -> NDArray[np.float64]:
        """How often each clip is drawn, (clips,): recordings with a noise class twice as often as others."""
        emergencies = [self.classes.index(name) for name in EMERGENCIES if name in self.classes]
        front = self.noise[:, 0]
        weights = 1.0 + ((front >= 0) & ~np.isin(front, emergencies) & (self.folds > 0))
        return np.asarray(weights / weights.sum())

    @cached_property
    def prior(self) -> NDArray[np.float64]:
        """Share of each noise class in what is drawn, (classes,), and at least `RAREST`."""
        share = np.asarray(self.share, np.float32).mean(axis=1)
        prior = np.zeros(len(self.classes))
        for number, part in zip(self.noise.T, (share, 1 - share), strict=True):
            known = number >= 0
            np.add.at(prior, number[known], part[known] * self.odds[known])
        return np.maximum(prior / prior.sum(), RAREST)

    @property
    def nbytes(self) -> int:
        """Size of all arrays."""
        return sum(array.nbytes for array in self.arrays().values())

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "classes"}

    def without(self, fold: int) -> "Dataset":
        """Return the clips in which no recording of a fold occurs.

        Raises
        ------
        ValueError
            If there are none.
        """
        rows = np.flatnonzero(self.folds != fold)
        if not len(rows):
            raise ValueError(f"clips: none of {len(self.folds)} is without fold {fold}; compose more")
        return Dataset(self.classes, **{name: array[rows] for name, array in self.arrays().items()})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Plan:
    """Size of the training set.

    Attributes
    ----------
    clips : int
    tonal : int
        Further clips of tonal sounds that are no alarm.
    each : int
        Synthetic sounds of every maker, for `clips`.
    """

    clips: int = 72_000
    tonal: int = 24_000
    each: int = 40

    @property
    def total(self) -> int:
        """Number of all clips."""
        return self.clips + self.tonal

    def sized(self, total: int) -> "Plan":
        """Return a plan with another number of clips and the same share of tonal ones.

        >>> Plan(clips=36_000, tonal=7_000).sized(430)
        Plan(clips=360, tonal=70, each=40)
        """
        tonal = total * self.tonal // self.total
        return replace(self, clips=total - tonal, tonal=tonal)


def read_responses(folders: Sequence[Path]) -> list[Signal]:
    """Return the impulse responses beside the recordings, at most a second of each, with energy 1."""
    responses = []
    for path in [path for folder in folders for path in sorted(folder.glob(f"**/{RESPONSES}/*.wav"))]:
        samples, rate = soundfile.read(path, always_2d=True)
        response = soxr.resample(samples[: 4 * rate, 0], rate, RATE)
        response = response[np.argmax(np.abs(response) > 0.1 * np.max(np.abs(response))) :][:RATE]
        responses.append(response / np.sqrt(np.sum(response**2)))
    return responses


def build(
    recordings: Sequence[Recording],
    folds: NDArray[np.int64],
    folders: Sequence[Path],
    teacher: Path | None,
    seed: int,
    workers: int,
    progress: Progress,
    plan: Plan = Plan(),
) -> Dataset:
    """Compose the training set.

    Parameters
    ----------
    recordings, folds
        What may be trained on, and the fold of each, from 1.
    folders : sequence of Path
        Folders that are searched for impulse responses.
    teacher : Path or None
        TFLite file of the teacher; without it, only labels are learned.
    """
    with ProcessPoolExecutor(workers, CONTEXT) as pool:
        sources = read_sources(recordings, folds, pool) + synthesise(plan.each, seed, pool)
    classes = sorted({s.noise for s in sources if s.noise})
    composer = Composer(sources, classes, read_responses(folders), None)
    task = progress.add_task("Composing", total=plan.total)
    starts = range(0, plan.total, PIECE)
    pieces = []
    with ProcessPoolExecutor(workers, CONTEXT, _begin, (composer, teacher, seed, plan.clips)) as pool:
        for piece in pool.map(_compose, starts, [min(plan.total, s + PIECE) for s in starts]):
            pieces.append(piece)
            progress.advance(task, len(piece[0]))
    progress.remove_task(task)
    return Dataset(classes, *(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


_worker: tuple[Composer, int, int]


def _begin(composer: Composer, teacher: Path | None, seed: int, tonal_from: int) -> None:
    global _worker  # noqa: PLW0603 - one per process
    own = Teacher(teacher) if teacher else None
    _worker = (Composer(composer.sources, composer.classes, composer.responses, own), seed, tonal_from)


def _compose(start: int, stop: int) -> tuple[NDArray[np.generic], ...]:
    composer, seed, tonal_from = _worker
    clips = [
        (composer.compose if number < tonal_from else composer.compose_tonal)(seed, number)
        for number in range(start, stop)
    ]
    names = ("spectrogram", "noise", "share", "kinds", "taught", "fold")
    return tuple(np.array([getattr(clip, name) for clip in clips]) for name in names)


def save(dataset: Dataset, folder: Path, stamp: Sequence[str]) -> None:
    """Write a dataset to a cache folder, with a stamp of what it was built from."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STAMP_FILE).unlink(missing_ok=True)
    for name, array in dataset.arrays().items():
        np.save(folder / f"{name}.npy", array)
    (folder / STAMP_FILE).write_text(json.dumps({"stamp": list(stamp), "classes": dataset.classes}))


def load(folder: Path, stamp: Sequence[str] | None = None) -> Dataset | None:
    """Return the dataset of a cache folder without reading it into memory; None if `stamp` is another one."""
    if not (folder / STAMP_FILE).is_file():
        return None
    about = json.loads((folder / STAMP_FILE).read_text())
    if stamp is not None and about["stamp"] != list(stamp):
        return None
    names = [field.name for field in fields(Dataset) if field.name != "classes"]
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    return Dataset(about["classes"], **arrays)
