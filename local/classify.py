"""`anc classify`: name the noise in files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track

from anc.noise import Classifier


def classify(files: Sequence[Path], console: Console, model: Path | None = None) -> Iterator[dict[str, Any]]:
    """Name the noise of files of any length and rate, in bounded memory, a minute at a time.

    Parameters
    ----------
    files : sequence of Path
    console : rich.console.Console
        Shows how far it is.
    model : Path, optional
        Instead of the one that ships.

    Yields
    ------
    dict
        ``file``, ``start_s``, and what `anc.noise.Hearing` holds; or ``file`` and ``error``.
    """
    classifier = Classifier.load(model)
    for path in track(files, "classifying", console=console, transient=True):
        if not path.is_file():
            yield {"file": str(path), "error": "there is no such file"}
            continue
        try:
            with soundfile.SoundFile(path) as file:
                for start in range(0, file.frames, 60 * file.samplerate):
                    block = file.read(60 * file.samplerate, dtype="float32", always_2d=True).mean(axis=1)
                    if start and len(block) < file.samplerate // 4:
                        break  # the rest of a long file: too short to name
                    hearing = classifier.classify(np.clip(block, -1, 1), file.samplerate)
                    yield {"file": str(path), "start_s": start / file.samplerate, **vars(hearing)}
        except (soundfile.SoundFileError, OSError, ValueError) as error:
            yield {"file": str(path), "error": str(error)}
