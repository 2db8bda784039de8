"""`anc evaluate control`, as a function; the command line hands its arguments over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from tools.cli.terminal import table
from tools.evaluation import dataset
from tools.evaluation.control import WAYS, evaluate
from tools.evaluation.dataset import Dataset
from tools.evaluation.report import report

PUPILS = 2
LEARNING = {
    True: "Of each kind of noise at most four recordings were learned from and two others are judged on, "
    "of other originals.",
    False: "The scenes that are judged on are made anew, from other random numbers.",
}


def measure(data: Path | None, quick: bool, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Evaluate and report.

    Parameters
    ----------
    data : Path or None
        Folder of recordings with `clips.csv`; None for the built-in scenes.
    quick : bool
        One head of each family and the first two noises: to see that it runs.
    progress : callable
        `progress(done, all)`.

    Raises
    ------
    ValueError, OSError
        The recordings cannot be used.
    """
    sounds = dataset.recorded(data) if data else dataset.built_in()
    families = dataset.families(1 if quick else PUPILS)
    if quick:
        sounds = Dataset(sounds.taught[:2], sounds.judged[:2])
        families = tuple(family._replace(teachers=family.teachers[:2]) for family in families)
    trials = evaluate(sounds, families, progress)
    options = (" --data DIR" if data else "") + (" --quick" if quick else "")
    played = f"{len(sounds.judged)} recordings of ESC-50" if data else f"{len(sounds.judged)} built-in scenes"
    return report(
        trials, families, played, LEARNING[bool(data)], f"anc evaluate control{options} --write docs --json"
    )


def tables(document: dict[str, Any]) -> tuple[Table, Table]:
    """Return decibels by noise, and what was to be reached, for people."""
    shown = table("dB off", *WAYS, "best fixed", numbers=True, title=document["sounds"])
    shown.padding = (0, 0, 0, 0)
    for name, family in document["families"].items():
        shown.add_row(f"[bold]{name}")
        for noise, group in [*family["noises"].items(), ("all", family["all"])]:
            figures = [f"{group['ways'][way]['settled_db']:.1f}" for way in WAYS]
            shown.add_row(noise.lower(), *figures, f"{group['best_fixed_db']:.1f}")
        shown.add_section()
    reach = table("to reach", "target", "typical", "worst", "met in", "of", numbers=True)
    for name, reached in document["reach"].items():
        reach.add_row(
            name, *(str(reached[column]) for column in ("target", "typical", "worst", "met_in", "of"))
        )
    return shown, reach
