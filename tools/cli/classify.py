"""`anc classify`: classify the noise in sound files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from anc.audio.formats import SUFFIXES
from anc.audio.reader import AudioReader, open_path
from anc.noise import Classifier, classify_channels
from anc.schemas.refusal import Refused
from anc.services.sound.file_detection import MIN_SOUND_S, check_length

PART_S = 60
CSV_COLUMNS = (
    "file",
    "start_s",
    "label",
    "confidence",
    "emergency",
    "emergency_score",
    "kind",
    "truncated",
    "note",
    "error",
)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return the files among paths, and the sound files in the folders among them, by their suffix.

    A folder without sound files is returned itself, so that it is reported.
    """
    files: list[Path] = []
    for path in paths:
        inside = sorted(each for each in path.rglob("*") if is_sound_file(each)) if path.is_dir() else []
        files += inside or [path]
    return files


def is_sound_file(path: Path) -> bool:
    """Return whether the name of a file has a suffix of a supported format."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def csv_row(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result of `classify_files` as a row of a CSV file with the columns `CSV_COLUMNS`."""
    row = {name: result.get(name, "") for name in CSV_COLUMNS}
    if result.get("emergency"):
        row["kind"] = max(result["kinds"], key=result["kinds"].get)
    return row


def classify_files(
    files: Sequence[Path], console: Console, model: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Classify files minute by minute, in bounded memory. An alarm in any channel counts.

    A file that cannot be read does not stop the others.

    Parameters
    ----------
    files : sequence of Path
        Sound files that `anc.audio.reader` supports, at least 0.25 s long.
    console : rich.console.Console
        Shows the progress bar.
    model : Path, optional
        Model file; the built-in model by default.

    Yields
    ------
    dict
        ``file``, ``start_s``, the fields of `anc.noise.Prediction`, ``truncated`` and ``note`` for each
        minute. For a file that cannot be read, only ``file``, ``code`` and ``error`` (the message).
    """
    classifier = Classifier.load(model)
    for path in track(files, "Classifying", console=console, transient=True, disable=not console.is_terminal):
        try:
            with open_path(path) as source:
                parts = list(_minutes(source, classifier))
                note = source.note
        except Refused as refusal:
            message = refusal.message.removeprefix(f"{path}: ")
            yield {"file": str(path), "code": refusal.code, "error": message}
            continue
        for start_s, prediction in parts:
            yield {"file": str(path), "start_s": start_s, **prediction, "truncated": bool(note), "note": note}


def _minutes(source: AudioReader, classifier: Classifier) -> Iterator[tuple[float, dict[str, Any]]]:
    part, start = PART_S * source.rate, 0
    while not source.ended:
        samples = source.read_channels(part)
        if not start:
            check_length(len(samples), source.rate)
        if len(samples) >= MIN_SOUND_S * source.rate:  # the last part may be too short
            yield start / source.rate, vars(classify_channels(classifier, samples, source.rate))
        start += len(samples)
