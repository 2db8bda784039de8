"""The commands `cancel` and `classify`, which read sound files."""

import sys
from collections.abc import Callable
from csv import DictWriter
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from anc.audio.formats import SUPPORTED
from anc.schemas.refusal import Refused
from tools.cli.terminal import (
    Json,
    console,
    errors,
    print_error,
    print_report_path,
    print_whole,
    printable,
    progress_bar,
    stop,
    table,
)

app = typer.Typer()
SOUND = "Sound files"


@app.command(rich_help_panel=SOUND)
def cancel(
    source: Annotated[
        Path,
        typer.Argument(help=f"Two-channel file: reference, then primary ({SUPPORTED}).", exists=True),
    ],
    target: Annotated[Path, typer.Argument(help="Output file for the cleaned primary (wav, flac, ogg).")],
    algorithm: Annotated[Literal["fdaf", "nlms"], typer.Option(help="Adaptive filter.")] = "fdaf",
    taps: Annotated[int, typer.Option(min=1, max=4096, help="Filter length in samples.")] = 512,
    mu: Annotated[float, typer.Option(min=0.001, max=1.999, help="Step size.")] = 0.5,
    report_to: Annotated[
        Path | None,
        typer.Option("--report", help="Plot the result to a .png file, or a .html page with a player."),
    ] = None,
    json: Json = False,
) -> None:
    """Remove from a recording what its reference channel predicts."""
    from tools.cli.cancel import cancel_file, write_report

    if report_to and report_to.suffix.lower() not in (".png", ".html"):
        stop(f"--report {report_to}: file name must end in .png or .html")

    with progress_bar(json) as progress:
        task = progress.add_task("Cancelling", total=None)
        try:
            cancelled = cancel_file(
                source,
                target,
                algorithm,
                taps,
                mu,
                lambda done, of: progress.update(task, completed=done, total=of),
            )
        except Refused as refusal:
            stop(refusal.message)
    report = cancelled.report
    if report_to:
        write_report(cancelled, printable(source.name), report_to)
    if report.note:
        print_error(f"{source}: {report.note}")
    if json:
        print(dumps(report.document()))
        return
    title = f"{target}: {report.seconds:.1f} s"
    rows = table("", "Before (dBFS)", "After (dBFS)", "Attenuation (dB)", numbers=True, title=title)
    levels = (report.level_before_dbfs, report.level_after_dbfs, report.attenuation_db)
    rows.add_row("Whole file", *(f"{level:.1f}" for level in levels))
    rows.add_row("Second half", "", "", f"{report.attenuation_last_half_db:.1f}")
    console.print(rows)
    if report_to:
        print_report_path(report_to)


@app.command(rich_help_panel=SOUND)
def classify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help=f"Sound files of up to 12 hours ({SUPPORTED}), and folders, searched recursively."
        ),
    ],
    model: Annotated[
        Path | None, typer.Option(help="Model file (.npz).", show_default="the built-in model")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """Classify the noise in sound files, minute by minute.

    Files that cannot be read are reported on stderr and skipped; the exit code is then 1.
    """
    from anc.noise import ModelError
    from tools.cli.classify import classify_files, files_of

    if json and csv:
        stop("--json and --csv exclude each other")
    rows = table("File", "Start", "Noise", "Confidence", "Emergency")
    rows.columns[0].overflow = "fold"
    add = _json_printer if json else _csv_printer() if csv else partial(_add_row, rows)
    failed = False
    try:
        for result in classify_files(files_of(files), errors, model):
            if "error" in result:
                failed = True
                print_error(f"{result['file']}: {result['error']}")
            if result.get("note") and not result["start_s"]:
                print_error(f"{result['file']}: {result['note']}")
            add(result)
    except ModelError as fault:
        stop(str(fault))
    if rows.row_count:
        print_whole(rows)
    if failed:
        raise typer.Exit(1)


def _add_row(rows: Table, result: dict[str, Any]) -> None:
    if "error" in result:
        return
    kind = max(result["kinds"], key=result["kinds"].get) if result["emergency"] else "-"
    start, confidence = f"{result['start_s']:.0f} s", f"{result['confidence']:.0%}"
    rows.add_row(escape(result["file"]), start, result["label"], confidence, kind)


def _json_printer(result: dict[str, Any]) -> None:
    print(dumps(result))


def _csv_printer() -> Callable[[dict[str, Any]], object]:
    from tools.cli.classify import CSV_COLUMNS, csv_row

    lines = DictWriter(sys.stdout, CSV_COLUMNS, lineterminator="\n")
    lines.writeheader()
    return lambda result: lines.writerow(csv_row(result))
