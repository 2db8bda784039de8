"""The commands `cancel` and `classify`, which read sound files."""

from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from anc.audio.formats import SUPPORTED
from anc.schemas.refusal import Refused
from tools.cli.terminal import (
    Json,
    console,
    errors,
    print_error,
    print_report_path,
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
        typer.Option("--report", help="Plot the result to a .png file, or a .html page with the plot."),
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
            report = cancel_file(
                source,
                target,
                algorithm,
                taps,
                mu,
                lambda done, of: progress.update(task, completed=done, total=of),
            )
        except Refused as refusal:
            stop(refusal.message)
    if report_to:
        write_report(report, source.name, report_to)
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
    files: Annotated[list[Path], typer.Argument(help=f"Sound files of up to 12 hours ({SUPPORTED}).")],
    model: Annotated[
        Path | None, typer.Option(help="Model file (.npz).", show_default="the built-in model")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Classify the noise in sound files, minute by minute.

    Files that cannot be read are reported on stderr and skipped; the exit code is then 1.
    """
    from anc.noise import ModelError
    from tools.cli.classify import classify_files

    rows = table("File", "Start", "Noise", "Confidence", "Emergency")
    failed = False
    try:
        for result in classify_files(files, errors, model):
            if "error" in result:
                failed = True
                print_error(f"{result['file']}: {result['error']}")
            if result.get("note") and not result["start_s"]:
                print_error(f"{result['file']}: {result['note']}")
            if json:
                print(dumps(result))
            elif "error" not in result:
                kind = max(result["kinds"], key=result["kinds"].get) if result["emergency"] else "-"
                start, confidence = f"{result['start_s']:.0f} s", f"{result['confidence']:.0%}"
                rows.add_row(escape(result["file"]), start, result["label"], confidence, kind)
    except ModelError as fault:
        stop(str(fault))
    if rows.row_count:
        console.print(rows)
    if failed:
        raise typer.Exit(1)
