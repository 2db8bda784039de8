"""Read a table of many collections, or several folders of recordings at once, and assign folds."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import recordings
from training.recordings import Recording, snake_case

TABLES = ("clips.csv", "meta/esc50.csv", "metadata/UrbanSound8K.csv")


@dataclass(frozen=True)
class Collected(Recording):
    """A recording from a table of many collections.

    Attributes
    ----------
    trains : bool
        False for recordings whose licence allows measurements only.
    """

    trains: bool = True


def trains(recording: Recording) -> bool:
    """Return whether a model may be trained on a recording."""
    return not isinstance(recording, Collected) or recording.trains


def read_recordings(folder: Path) -> list[Recording]:
    """Read all recordings of a folder.

    Parameters
    ----------
    folder : Path
        In a layout that `training.recordings` reads; or with ``clips.csv`` of many collections, whose columns
        are path, source (the collection), original, class, licence, author, url_or_package, seconds and use
        (``train``, or ``measure`` for recordings that may only be measured); or with several such folders.

    Raises
    ------
    FileNotFoundError
        If the folder has none of these layouts.
    """
    rows = _rows_of_many(folder / TABLES[0])
    if rows:
        return [_collected(folder, row) for row in rows]
    if not _has_table(folder):
        parts = [part for part in sorted(folder.glob("*/")) if _has_table(part)]
        if parts:
            return [recording for part in parts for recording in read_recordings(part)]
    return recordings.read_recordings(folder)


def _has_table(folder: Path) -> bool:
    return any((folder / table).is_file() for table in TABLES)


def _rows_of_many(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if "use" in row]


def _collected(folder: Path, row: dict[str, str]) -> Collected:
    return Collected(
        path=folder / row["path"],
        name=snake_case(row["class"]),
        source=f"{row['source']}/{row['original']}",
        fold=None,
        collection=row["source"],
        credit=(row["author"], row["original"], row["licence"], row["url_or_package"]),
        trains=row["use"] == "train",
    )


def assign_folds(recordings: list[Recording], folds: int = 5) -> NDArray[np.int64]:
    """Assign each recording a fold, 1 to `folds`, without splitting sources and with balanced classes.

    Folds of ESC-10 are kept, also for the same sources in other collections. Other sources of ESC-50, and of
    folders, go to the fold with the fewest recordings of their class. A collection from a table of many is in
    one fold as a whole, the largest first, so that a fold measures a collection that was not trained on.
    """
    of_source = {r.source: r.fold for r in recordings if r.collection == "esc10" and r.fold}
    sizes = Counter(r.collection for r in recordings if _of_many(r))
    totals = dict.fromkeys(range(1, folds + 1), 0)
    of_collection: dict[str, int] = {}
    for collection, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fold = min(totals, key=lambda f: (totals[f], f))
        of_collection[collection] = fold
        totals[fold] += size
    have: dict[tuple[str, int], int] = {}
    for r in sorted(recordings, key=lambda r: (r.name, r.source, str(r.path))):
        if _of_many(r):
            of_source[r.source] = of_collection[r.collection]
        elif r.source not in of_source:
            of_source[r.source] = min(
                range(1, folds + 1), key=lambda fold: (have.get((r.name, fold), 0), fold)
            )
        key = (r.name, of_source[r.source])
        have[key] = have.get(key, 0) + 1
    return np.array([of_source[r.source] for r in recordings])


def _of_many(recording: Recording) -> bool:
    return isinstance(recording, Collected)
