"""The command `train`, and `evaluate classifier`."""

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tools.cli.terminal import Json, console, print_report_path, progress_bar, stop, table

if TYPE_CHECKING:
    from training.commands import Options

app = typer.Typer()
MEASURE = "Train and measure"
FIGURES = ("model-confusion-noise.png", "model-confusion-esc10.png", "model-detection.png")

Folders = Annotated[
    list[Path],
    typer.Option(
        "--data",
        help="Folder of recordings: with a table, or one folder per class; may be repeated.",
    ),
]
Out = Annotated[Path, typer.Option(help="Output folder for reports, plots and the cache.")]
TeacherFile = Annotated[
    Path | None,
    typer.Option("--teacher", help="YAMNet as a TFLite file, to learn from.", show_default="labels alone"),
]
Folds = Annotated[int, typer.Option(min=1, max=5, help="Folds of five to measure on.")]
Steps = Annotated[
    int | None, typer.Option(min=1, max=1_000_000, help="Training steps.", show_default="the recipe's")
]
Clips = Annotated[
    int | None, typer.Option(min=1, max=200_000, help="Clips to compose.", show_default="the recipe's")
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Random seed.")]


@app.command(rich_help_panel=MEASURE)
def train(
    data: Folders,
    teacher: TeacherFile = None,
    out: Out = Path("build/training"),
    model: Annotated[Path, typer.Option(help="Output file of the model.")] = Path("build/training/model.npz"),
    folds: Folds = 5,
    steps: Steps = None,
    clips: Clips = None,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Train the noise classifier and emergency detector."""
    with training_errors(), progress_bar(json) as progress:
        from training import commands

        options = options_of(teacher, folds, steps, clips, seed)
        reports = commands.train(data, out, model, options, progress)
    show(reports, "Training", out / "training.html", json)


def evaluate_classifier(data: list[Path], options: "Options", out: Path, json: bool) -> None:
    """Cross-validate the classifier, write the reports and print the figures."""
    with training_errors(), progress_bar(json) as progress:
        from training import commands

        reports = commands.evaluate(data, out, options, progress)
    show(reports, "Evaluation of the classifier", out / "classifier.html", json)


def options_of(
    teacher: Path | None, folds: int, steps: int | None, clips: int | None, seed: int
) -> "Options":
    """Return how to train."""
    from training.commands import Options

    return Options(teacher=teacher, seed=seed, folds=folds).sized(clips, steps)


def show(reports: dict[str, Any], title: str, page: Path, json: bool) -> None:
    """Write the HTML page of reports and print the figures, as JSON in full."""
    from tools.report.page import embedded_figures, write_page

    write_page(page, title, summary(reports), embedded_figures(page.parent, *FIGURES))
    if json:
        print(dumps(reports))
        return
    rows = table("", "")
    for name, value in summary(reports).items():
        if not isinstance(value, dict):
            rows.add_row(name, str(value))
    console.print(rows)
    print_report_path(page)


def summary(reports: dict[str, Any]) -> dict[str, Any]:
    """Return the main figures of a cross-validation, and tables of what fires."""
    figures: dict[str, Any] = {}
    if "model" in reports:
        figures |= {f"model: {name}": value for name, value in reports["model"].items()}
    for name, title in (("noise", "noise types"), ("esc10", "ESC-10")):
        if report := reports.get(name):
            figures[f"{title}: clips right"] = report["clip_accuracy"]
            figures[f"{title}: 1-s windows right"] = report["window_accuracy"]
    if false := reports["alarm"].get("false_alarms"):
        figures["clips without an emergency that fire"] = false["clips"]
    for title, counts in (
        ("clips that fire", reports["alarm"]["clips_fired"]),
        ("recordings that are only measured", reports.get("measured", {})),
    ):
        figures[title] = {name: {"fire": fired, "of": of} for name, (fired, of) in counts.items()}
    return figures


@contextmanager
def training_errors() -> Iterator[None]:
    """Print errors in recordings, teacher and options as one line, without a traceback."""
    try:
        yield
    except FileNotFoundError as fault:
        if fault.filename is not None:
            raise
        stop(str(fault))
    except ValueError as fault:
        stop(str(fault))
    except BrokenProcessPool:
        stop("a process was ended by the system, probably because memory ran out; compose fewer --clips")
