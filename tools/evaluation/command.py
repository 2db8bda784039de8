"""`anc evaluate control`: run the evaluation and format its result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from tools.cli.terminal import table
from tools.evaluation import dataset
from tools.evaluation.control import LIMIT, METHODS, ORACLE, evaluate
from tools.evaluation.dataset import Dataset
from tools.evaluation.report import report

TEST_HEADS = 2
DATA_SPLIT = {
    True: "At most four recordings of each kind of noise are for training and two for testing, from "
    "different sources.",
    False: "The test scenes are generated with other random numbers than the training scenes.",
}


def measure(data: Path | None, quick: bool, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Run the evaluation and return the report.

    Parameters
    ----------
    data : Path or None
        Folder of recordings with `clips.csv`; None for the built-in scenes.
    quick : bool
        Use one head of each family in one noise, after a change from another one.
    progress : callable
        `progress(done, total)`.

    Raises
    ------
    ValueError, OSError
        The recordings cannot be used.
    """
    noises = dataset.recorded(data) if data else dataset.built_in()
    families = dataset.families(1 if quick else TEST_HEADS)
    aside, training_families = dataset.on_training_side(noises, families)
    number = 0 if quick else dataset.number_of_trials(aside, training_families)
    if quick:
        noises = Dataset(noises.training[:2], noises.test[:2])
        families = tuple(
            family._replace(training_heads=family.training_heads[:2], noise_step=len(noises.test))
            for family in families
        )
    trials = evaluate(noises, families, lambda k, n: progress(k, n + number))
    chosen_on = (
        evaluate(aside, training_families, lambda k, n: progress(len(trials) + k, len(trials) + n))
        if number
        else []
    )
    options = (" --data DIR" if data else "") + (" --quick" if quick else "")
    description = (
        f"{len(noises.test)} recordings of ESC-50" if data else f"{len(noises.test)} built-in scenes"
    )
    return report(
        trials,
        chosen_on,
        families,
        description,
        DATA_SPLIT[bool(data)],
        f"anc evaluate control{options} --write docs --json",
    )


def tables(document: dict[str, Any]) -> tuple[Table, Table]:
    """Return two tables: attenuation by noise and method, and the targets."""
    attenuation = table("Attenuation (dB)", *METHODS, ORACLE, LIMIT, numbers=True, title=document["sounds"])
    attenuation.padding = (0, 0, 0, 0)
    for name, family in document["families"].items():
        attenuation.add_row(f"[bold]{name}")
        for noise, group in [*family["noises"].items(), ("all", family["all"])]:
            figures = [f"{group['methods'][method]['settled_db']:.1f}" for method in METHODS]
            figures += [f"{group['best_fixed_db']:.1f}", f"{group['coherence_limit_db']:.1f}"]
            attenuation.add_row(noise.lower(), *figures)
        attenuation.add_section()
    targets = table("Target", "limit", "typical", "worst", "met in", "of", numbers=True)
    for name, result in document["targets"].items():
        columns = ("limit", "typical", "worst", "met_in", "of")
        targets.add_row(name, *(str(result[column]) for column in columns))
    return attenuation, targets
