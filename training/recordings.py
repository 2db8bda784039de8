"""Read labelled recordings in common folder layouts."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anc.audio.formats import SUFFIXES
from anc.audio.reader import open_path

MAX_LENGTH_S = 3600.0


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
        ``esc10``, ``esc50``, ``urbansound8k`` or ``folders``.
    credit : tuple of str
        Author, title, licence and address, if known.
    """

    path: Path
    name: str
    source: str
    fold: int | None
    collection: str
    credit: tuple[str, str, str, str] | None = None


def load_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    """Return the loudest channel, (n,) float32 in [-1, 1], and the rate in Hz.

    Raises
    ------
    Refused
        If the file is invalid or longer than an hour; the message names it.
    """
    with open_path(path) as source:
        source.check_length(MAX_LENGTH_S, "cut it")
        return source.read_loudest(), source.rate


def snake_case(name: str) -> str:
    """Return a name in snake case.

    >>> snake_case("Door - wood creaks")
    'door_wood_creaks'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def read_recordings(folder: Path) -> list[Recording]:
    """Read a collection. The layout is detected from the table in the folder.

    Parameters
    ----------
    folder : Path
        With ``clips.csv`` (path, dataset, fold, class, source and licence), ``meta/esc50.csv`` (ESC-50 as
        published), ``metadata/UrbanSound8K.csv`` (UrbanSound8K as published), or one folder per class.

    Raises
    ------
    FileNotFoundError
        If the folder has none of these layouts.
    """
    for table, reader in _READERS.items():
        if (folder / table).is_file():
            with (folder / table).open(newline="", encoding="utf-8") as file:
                return [reader(folder, row) for row in csv.DictReader(file)]
    recordings = _read_folders(folder) if folder.is_dir() else []
    if not recordings:
        tables = ", ".join(_READERS)
        raise FileNotFoundError(f"{folder}: no recordings; expected one of {tables}, or one folder per class")
    return recordings


def _clip(folder: Path, row: dict[str, str]) -> Recording:
    return Recording(
        path=folder / row["path"],
        name=_ESC50_NAME.get(name := snake_case(row["esc50_class"] or row["esc10_class"]), name),
        source=row["source_id"],
        fold=int(row["fold"]),
        collection="esc10" if row["dataset"] == "esc10" else "esc50",
        credit=(row["author"], row["title"], row["licence"], row["source_url"]),
    )


# ESC-10 and ESC-50 name a few classes differently.
_ESC50_NAME = {
    "dog_bark": "dog",
    "baby_cry": "crying_baby",
    "person_sneeze": "sneezing",
    "fire_crackling": "crackling_fire",
}


def _esc50(folder: Path, row: dict[str, str]) -> Recording:
    esc10 = row["esc10"].lower() == "true"
    name = snake_case(row["category"])
    return Recording(
        folder / "audio" / row["filename"],
        name,
        row["src_file"],
        int(row["fold"]),
        "esc10" if esc10 else "esc50",
    )


def _urbansound8k(folder: Path, row: dict[str, str]) -> Recording:
    path = folder / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
    return Recording(path, snake_case(row["class"]), row["fsID"], int(row["fold"]), "urbansound8k")


_READERS: dict[str, Callable[[Path, dict[str, str]], Recording]] = {
    "clips.csv": _clip,
    "meta/esc50.csv": _esc50,
    "metadata/UrbanSound8K.csv": _urbansound8k,
}


def _read_folders(folder: Path) -> list[Recording]:
    return [
        Recording(path, snake_case(path.parent.name), path.stem, None, "folders")
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in SUFFIXES
    ]


def assign_folds(recordings: list[Recording], folds: int = 5) -> NDArray[np.int64]:
    """Assign each recording a fold, 1 to `folds`, without splitting sources and with balanced classes.

    Folds of ESC-10 are kept, also for the same sources in other collections. Every other source goes to the
    fold with the fewest recordings of its class.
    """
    of_source = {r.source: r.fold for r in recordings if r.collection == "esc10" and r.fold}
    have: dict[tuple[str, int], int] = {}
    for r in sorted(recordings, key=lambda r: (r.name, r.source, str(r.path))):
        if r.source not in of_source:
            of_source[r.source] = min(
                range(1, folds + 1), key=lambda fold: (have.get((r.name, fold), 0), fold)
            )
        key = (r.name, of_source[r.source])
        have[key] = have.get(key, 0) + 1
    return np.array([of_source[r.source] for r in recordings])
