"""Build the training set: clips of three seconds, composed in parallel and cached in a file."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from rich.progress import Progress

from training.candidate.clips import Composer
from training.candidate.sources import read_sources, synthesise
from training.candidate.teacher import Teacher
from training.recordings import Recording
from training.synthesis import RATE, Signal

RESPONSES = "rirs"  # folder of impulse responses beside a table of recordings
CONTEXT = multiprocessing.get_context("spawn")  # a fork may deadlock: JAX has threads
PIECE = 200  # clips that a worker composes at once


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

    def without(self, fold: int) -> "Dataset":
        """Return the clips in which no recording of a fold occurs."""
        rows = np.flatnonzero(self.folds != fold)
        return Dataset(
            self.classes,
            self.spectrograms[rows],
            self.noise[rows],
            self.share[rows],
            self.kinds[rows],
            self.taught[rows],
            self.folds[rows],
        )


@dataclass(frozen=True)
class Plan:
    """Size of the training set.

    Attributes
    ----------
    clips : int
    each : int
        Synthetic sounds of every maker.
    """

    clips: int = 24_000
    each: int = 30


def read_responses(folder: Path) -> list[Signal]:
    """Return the impulse responses beside the recordings, at most a second of each, with energy 1."""
    responses = []
    for path in sorted(folder.glob(f"**/{RESPONSES}/*.wav")):
        samples, rate = soundfile.read(path, always_2d=True)
        response = soxr.resample(samples[: 4 * rate, 0], rate, RATE)
        response = response[np.argmax(np.abs(response) > 0.1 * np.max(np.abs(response))) :][:RATE]
        responses.append(response / np.sqrt(np.sum(response**2)))
    return responses


def build(
    recordings: Sequence[Recording],
    folds: NDArray[np.int64],
    folder: Path,
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
    folder : Path
        Folder that is searched for impulse responses.
    teacher : Path or None
        TFLite file of the teacher; without it, only labels are learned.
    """
    with ProcessPoolExecutor(workers, CONTEXT) as pool:
        sources = read_sources(recordings, folds, pool) + synthesise(plan.each, seed, pool)
    classes = sorted({s.noise for s in sources if s.noise})
    composer = Composer(sources, classes, read_responses(folder), None)
    task = progress.add_task("composing", total=plan.clips)
    starts = range(0, plan.clips, PIECE)
    pieces = []
    with ProcessPoolExecutor(workers, CONTEXT, _begin, (composer, teacher, seed)) as pool:
        for piece in pool.map(_compose, starts, [min(plan.clips, s + PIECE) for s in starts]):
            pieces.append(piece)
            progress.advance(task, len(piece[0]))
    progress.remove_task(task)
    return Dataset(classes, *(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


_worker: tuple[Composer, int]


def _begin(composer: Composer, teacher: Path | None, seed: int) -> None:
    global _worker  # noqa: PLW0603 - one per process
    own = Teacher(teacher) if teacher else None
    _worker = (Composer(composer.sources, composer.classes, composer.responses, own), seed)


def _compose(start: int, stop: int) -> tuple[NDArray[np.generic], ...]:
    composer, seed = _worker
    clips = [composer.compose(seed, number) for number in range(start, stop)]
    names = ("spectrogram", "noise", "share", "kinds", "taught", "fold")
    return tuple(np.array([getattr(clip, name) for clip in clips]) for name in names)


def save(dataset: Dataset, path: Path, stamp: Sequence[str]) -> None:
    """Write a dataset to a cache file, with a stamp of what it was built from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(value) for name, value in vars(dataset).items()}
    np.savez(path, stamp=np.array(stamp), **arrays)  # type: ignore[arg-type]


def load(path: Path, stamp: Sequence[str]) -> Dataset | None:
    """Read a dataset from a cache file, None if there is none with this stamp."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        if file["stamp"].tolist() != list(stamp):
            return None
        arrays = {name: file[name] for name in file.files if name != "stamp"}
    return Dataset(arrays.pop("classes").tolist(), **arrays)
