"""`anc evaluate control`: run the evaluation and format its result."""

from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any

from rich.table import Table

from tools.cli.terminal import table
from tools.evaluation import dataset, disturbed
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
        Use one head of each family in one noise, after a change from another one, and one disturbance.
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
    if quick:
        noises = Dataset(noises.training[:2], noises.test[:2])
        families = tuple(
            family._replace(training_heads=family.training_heads[:2], noise_step=len(noises.test))
            for family in families
        )
    situations = disturbed.situations()[: 2 if quick else None]
    total, done = dataset.number_of_trials(noises, families), count(1)
    total += disturbed.number_of_trials(noises, situations)
    if not quick:
        total += dataset.number_of_trials(aside, training_families)
        total += disturbed.number_of_trials(aside, situations)

    def advance() -> None:
        progress(next(done), total)

    trials = evaluate(noises, families, advance)
    chosen_on = [] if quick else evaluate(aside, training_families, advance)
    with_disturbances = disturbed.evaluate(noises, situations, dataset.DISTURBED_SEED, advance)
    aside_disturbed = (
        [] if quick else disturbed.evaluate(aside, situations, dataset.DISTURBED_TRAINING_SEED, advance)
    )
    options = (" --data DIR" if data else "") + (" --quick" if quick else "")
    description = (
        f"{len(noises.test)} recordings of ESC-50" if data else f"{len(noises.test)} built-in scenes"
    )
    return report(
        trials,
        chosen_on,
        (with_disturbances, aside_disturbed),
        families,
        description,
        DATA_SPLIT[bool(data)],
        f"anc evaluate control{options} --write docs --json",
    )


def tables(document: dict[str, Any]) -> Iterable[Table]:
    """Yield tables: attenuation by noise and method, with disturbances, and the targets."""
    attenuation = table("Attenuation (dB)", *METHODS, ORACLE, LIMIT, numbers=True, title=document["sounds"])
    attenuation.padding = (0, 0, 0, 0)
    for name, family in document["families"].items():
        attenuation.add_row(f"[bold]{name}")
        for noise, group in [*family["noises"].items(), ("all", family["all"])]:
            figures = [f"{group['methods'][method]['settled_db']:.1f}" for method in METHODS]
            figures += [f"{group['best_fixed_db']:.1f}", f"{group['coherence_limit_db']:.1f}"]
            attenuation.add_row(noise.lower(), *figures)
        attenuation.add_section()
    yield attenuation
    measured = ("attenuation_db", "lost_db", "most_lost_db", "louder_s")
    disturbances = table("Sound field", "disturbance", "dB", "lost", "most", "louder (s)", numbers=True)
    for row in document["disturbed"]:
        disturbances.add_row(row["field"], row["disturbance"], *(str(row[name]) for name in measured))
    yield disturbances
    targets = table("Target", "limit", "typical", "worst", "met in", "of", numbers=True)
    for name, result in document["targets"].items():
        columns = ("limit", "typical", "worst", "met_in", "of")
        targets.add_row(name, *(str(result[column]) for column in columns))
    yield targets
