"""`anc train` and `anc evaluate classifier` as functions."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from training.clips.dataset import Plan
from training.cross_validation import CrossValidation, cross_validate
from training.export import write_model
from training.fit import Recipe
from training.material import Material, gather
from training.recordings import FOLDS
from training.reports import Results


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes
    ----------
    teacher : Path or None
        TFLite file of YAMNet; without it, only labels are learned.
    seed : int
    plan : Plan
        Size of the training set.
    recipe : Recipe
        Hyperparameters of the network.
    folds : int
        Number of folds, of five, that are left out in turn. Fewer take less time and measure less.
    """

    teacher: Path | None = None
    seed: int = 1
    plan: Plan = field(default_factory=Plan)
    recipe: Recipe = field(default_factory=Recipe)
    folds: int = FOLDS

    def sized(self, clips: int | None, steps: int | None) -> "Options":
        """Return options with another number of clips or steps, if given."""
        plan = self.plan.sized(clips) if clips else self.plan
        recipe = replace(self.recipe, steps=steps) if steps else self.recipe
        return replace(self, plan=plan, recipe=recipe)


def evaluate(data: Sequence[Path], out: Path, options: Options, progress: Progress) -> dict[str, Any]:
    """Cross-validate: each recording is judged by a model that knows none of its source.

    Parameters
    ----------
    data : sequence of Path
        Folders of recordings in layouts that `training.recordings` reads.
    out : Path
        Folder for the reports (``noise.json``, ``alarm.json``, ``esc10.json``, ``measured.json``), plots and
        the cache of composed clips.
    options : Options

    Returns
    -------
    dict
        The reports, by name.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no recordings, or the teacher is not YAMNet.
    """
    results, _, _ = _run(data, out, options, False, progress)
    return results.reports


def train(
    data: Sequence[Path], out: Path, model: Path, options: Options, progress: Progress
) -> dict[str, Any]:
    """Cross-validate as `evaluate` does, fit a model on all recordings, and write it.

    Parameters
    ----------
    model : Path
        The .npz file to write.

    Returns
    -------
    dict
        The reports, by name, and ``model``: the SHA-256 of the file, temperature and threshold.
    """
    results, material, validation = _run(data, out, options, True, progress)
    about: dict[str, object] = {
        "name": "anc-hearing",
        "recordings": dict(Counter(r.collection for r in material.recordings)),
        "teacher": options.teacher.name if options.teacher else None,
        "seed": options.seed,
        "clips": options.plan.total,
        "steps": options.recipe.steps,
    }
    written = write_model(
        model, validation.arrays, material.classes, results.temperature, results.threshold, about
    )
    shipped = {
        "sha256": written.sha256,
        "temperature": results.temperature,
        "threshold": results.threshold,
    }
    return {"model": shipped, **results.reports}


def _run(
    data: Sequence[Path], out: Path, options: Options, whole: bool, progress: Progress
) -> tuple[Results, Material, CrossValidation]:
    material = gather(data, out, options.teacher, options.seed, options.plan, progress)
    validation = cross_validate(material, options.recipe, options.seed, options.folds, whole, progress)
    results = Results(material, validation.judged, validation.foreign)
    for name, report in results.reports.items():
        (out / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    results.plot(out)
    return results, material, validation
