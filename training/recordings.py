"""Read labelled recordings in common folder layouts, and assign them to folds."""

import csv
import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anc.audio.formats import SUFFIXES
from anc.audio.reader import open_path

MAX_LENGTH_S = 3600.0
FOLDS = 5
USES = ("train", "measure")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """One labelled file.

    Attributes
    ----------
    path : Path
    name : str
        Class in snake case, such as ``crying_baby``.
    source : str
        Id of the original recording; clips of the same source are never split across folds.
    fold : int or None
        Fold assigned by the collection, if any.
    collection : str
        ``esc10``, ``esc50``, ``urbansound8k``, ``folders``, or the name in a table of many collections.
    credit : tuple of str
        Author, title, licence and address, if known.
    trains : bool
        False for recordings whose licence allows measurements only.
    whole : bool
        Whether all recordings of the collection are in one fold.
    """

    path: Path
    name: str
    source: str
    fold: int | None
    collection: str
    credit: tuple[str, str, str, str] | None = None
    trains: bool = True
    whole: bool = False


def load_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    """Return the loudest channel, (n,) float32 in [-1, 1], and the rate in Hz.

    Logs a warning if a part of the file could not be decoded.

    Raises
    ------
    Refused
        If the file is invalid or longer than an hour; the message names it.
    """
    with open_path(path) as source:
        source.check_length(MAX_LENGTH_S, "cut it")
        samples = source.read_loudest()
        if source.note:
            logger.warning("%s: %s", path, source.note)
        return samples, source.rate


def snake_case(name: str) -> str:
    """Return a name in snake case.

    >>> snake_case("Door - wood creaks")
    'door_wood_creaks'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def read_recordings(*folders: Path) -> list[Recording]:
    """Read all recordings of some folders. The layout of each is detected from the table in it.

    Parameters
    ----------
    *folders : Path
        Each with ``clips.csv`` (path, dataset, fold, class, source and licence), ``clips.csv`` of many
        collections (path, source, original, class, licence, author, url_or_package and use, which is
        ``train`` or ``measure``), ``meta/esc50.csv`` (ESC-50 as published), ``metadata/UrbanSound8K.csv``
        (UrbanSound8K as published), one folder per class, or several such folders.

    Raises
    ------
    FileNotFoundError
        If a folder has none of these layouts.
    ValueError
        If a row of a table or the name of a class is invalid.
    """
    found = {recording.path.resolve(): recording for folder in folders for recording in _read(folder)}
    return list(found.values())


def _read(folder: Path) -> list[Recording]:
    if table := _table_of(folder):
        return _read_table(folder, table)
    parts = [part for part in sorted(folder.glob("*/")) if _table_of(part)]
    recordings = [r for part in parts for r in _read(part)] if parts else _read_folders(folder)
    if not recordings:
        tables = ", ".join(_READERS)
        raise FileNotFoundError(f"{folder}: no recordings; expected one of {tables}, or one folder per class")
    return recordings


def _table_of(folder: Path) -> str | None:
    return next((table for table in _READERS if (folder / table).is_file()), None)


def _read_table(folder: Path, table: str) -> list[Recording]:
    with (folder / table).open(newline="", encoding="utf-8") as file:
        recordings, rows = [], csv.DictReader(file)
        for number, row in enumerate(rows, start=1):
            try:
                if None in row or None in row.values():
                    raise ValueError(f"must have {len(rows.fieldnames or ())} columns")
                recordings.append(_READERS[table](folder, row))
            except KeyError as fault:
                raise ValueError(f"{folder / table}: column {fault.args[0]} is missing") from fault
            except ValueError as fault:
                raise ValueError(f"{folder / table}, row {number}: {fault}") from fault
        return recordings


def _clip(folder: Path, row: dict[str, str]) -> Recording:
    if "use" in row:
        return _clip_of_many(folder, row)
    name = snake_case(row["esc50_class"] or row["esc10_class"])
    return Recording(
        path=folder / row["path"],
        name=_class(_ESC50_NAME.get(name, name)),
        source=row["source_id"],
        fold=_fold(row["fold"]),
        collection="esc10" if row["dataset"] == "esc10" else "esc50",
        credit=(row["author"], row["title"], row["licence"], row["source_url"]),
    )


def _clip_of_many(folder: Path, row: dict[str, str]) -> Recording:
    if row["use"] not in USES:
        raise ValueError(f"use must be one of {', '.join(USES)} (got {row['use']!r})")
    return Recording(
        path=folder / row["path"],
        name=_class(row["class"]),
        source=f"{row['source']}/{row['original']}",
        fold=None,
        collection=row["source"],
        credit=(row["author"], row["original"], row["licence"], row["url_or_package"]),
        trains=row["use"] == "train",
        whole=True,
    )


# ESC-10 and ESC-50 name a few classes differently.
_ESC50_NAME = {
    "dog_bark": "dog",
    "baby_cry": "crying_baby",
    "person_sneeze": "sneezing",
    "fire_crackling": "crackling_fire",
}


def _class(name: str) -> str:
    if not (short := snake_case(name)):
        raise ValueError(f"class must have a letter or a digit (got {name!r})")
    return short


def _fold(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ValueError(f"fold must be a number from 1 (got {text!r})")


def _esc50(folder: Path, row: dict[str, str]) -> Recording:
    esc10 = row["esc10"].lower() == "true"
    path, name = folder / "audio" / row["filename"], _class(row["category"])
    return Recording(path, name, row["src_file"], _fold(row["fold"]), "esc10" if esc10 else "esc50")


def _urbansound8k(folder: Path, row: dict[str, str]) -> Recording:
    path = folder / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
    return Recording(path, _class(row["class"]), row["fsID"], _fold(row["fold"]), "urbansound8k")


_READERS: dict[str, Callable[[Path, dict[str, str]], Recording]] = {
    "clips.csv": _clip,
    "meta/esc50.csv": _esc50,
    "metadata/UrbanSound8K.csv": _urbansound8k,
}


def _read_folders(folder: Path) -> list[Recording]:
    paths = [path for path in sorted(folder.glob("*/*")) if path.suffix.lower() in SUFFIXES]
    return [
        Recording(path, _class(path.parent.name), f"{path.parent.name}/{path.stem}", None, "folders")
        for path in paths
    ]


def assign_folds(recordings: Sequence[Recording], folds: int = FOLDS) -> NDArray[np.int64]:
    """Assign each recording a fold, 1 to `folds`, without splitting sources and with balanced classes.

    Folds of ESC-10 are kept, also for the same sources in other collections. Other sources of ESC-50, and of
    folders, go to the fold with the fewest recordings of their class. A collection from a table of many is in
    one fold as a whole, the largest first, so that a fold measures a collection that was not trained on.
    """
    of_source = {r.source: r.fold for r in recordings if r.collection == "esc10" and r.fold}
    sizes = Counter(r.collection for r in recordings if r.whole)
    totals = dict.fromkeys(range(1, folds + 1), 0)
    of_collection: dict[str, int] = {}
    for collection, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fold = min(totals, key=lambda f: (totals[f], f))
        of_collection[collection] = fold
        totals[fold] += size
    have: dict[tuple[str, int], int] = {}
    for r in sorted(recordings, key=lambda r: (r.name, r.source, str(r.path))):
        if r.whole:
            of_source[r.source] = of_collection[r.collection]
        elif r.source not in of_source:
            of_source[r.source] = min(
                range(1, folds + 1), key=lambda fold: (have.get((r.name, fold), 0), fold)
            )
        key = (r.name, of_source[r.source])
        have[key] = have.get(key, 0) + 1
    return np.array([of_source[r.source] for r in recordings])
