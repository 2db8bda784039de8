"""`anc classify`: name the noise in files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from anc.audio.reader import AudioReader, open_path
from anc.noise import Classifier
from anc.schemas.refusal import Refused
from anc.services.sound.detection import MIN_SOUND_S, check_length

PART_S = 60


def classify(files: Sequence[Path], console: Console, model: Path | None = None) -> Iterator[dict[str, Any]]:
    """Name the noise of files a minute at a time, in bounded memory.

    A file that is refused does not keep the others from being classified.

    Parameters
    ----------
    files : sequence of Path
        Sound files as `anc.audio.reader` takes them, of a quarter of a second or more.
    console : rich.console.Console
        Shows how far it is.
    model : Path, optional
        Instead of the one that ships.

    Yields
    ------
    dict
        For every minute ``file``, ``start_s``, and the fields of `anc.noise.Prediction`. For a file that is
        refused, wherever the fault lies in it, only ``file``, ``code``, and ``error``, which says what is
        wrong, what is supported and what to do.
    """
    classifier = Classifier.load(model)
    for path in track(files, "classifying", console=console, transient=True, disable=not console.is_terminal):
        try:
            with open_path(path) as source:
                check_length(source.frames, source.rate)
                parts = list(_by_minute(source, classifier))
        except Refused as refusal:
            message = refusal.message.removeprefix(f"{path}: ")
            yield {"file": str(path), "code": refusal.code, "error": message}
            continue
        for start_s, heard in parts:
            yield {"file": str(path), "start_s": start_s, **heard}


def _by_minute(source: AudioReader, classifier: Classifier) -> Iterator[tuple[float, dict[str, Any]]]:
    part = PART_S * source.rate
    for start in range(0, source.frames, part):
        samples = source.read_mono(part)
        if len(samples) >= MIN_SOUND_S * source.rate:  # the rest of a long file may be too short to classify
            yield start / source.rate, vars(classifier.classify(samples, source.rate))
