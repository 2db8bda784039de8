"""The commands that look and measure: `train`, `evaluate`, `bench`, `fleet`, `cost`, `doctor`, `smoke`."""

from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from local.data_folder import UnusableFolder
from tools.cli.terminal import (
    DEFAULT_DATA,
    DEFAULT_PORT,
    Data,
    Json,
    Port,
    command_line,
    console,
    progress_bar,
    settings,
    stop,
    table,
)
from tools.report.page import pictures_in, write_page

app = typer.Typer()
MEASURE, CARE = "Learn and measure", "Look after it"

Sounds = Annotated[
    Path,
    typer.Option("--data", help="Folder of recordings: ESC-10, ESC-50, UrbanSound8K or a folder a class."),
]
Out = Annotated[Path, typer.Option(help="Folder for reports, plots and the cache.")]


@app.command(rich_help_panel=MEASURE)
def train(
    data: Sounds,
    out: Out = Path("build/training"),
    model: Annotated[Path, typer.Option(help="Where the model goes.")] = Path("build/training/model.npz"),
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 1,
    json: Json = False,
) -> None:
    """Train the model that names noises and hears alarms."""
    with usable_data():
        from training import commands

        show_report(commands.train(data, out, model, seed), json)


@app.command(rich_help_panel=MEASURE)
def evaluate(
    what: Annotated[
        Literal["hearing", "alarms", "control"],
        typer.Argument(help="The model's hearing, how soon alarms open a headset, or the control path."),
    ] = "hearing",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of recordings; alarms and control play built-in noise without."),
    ] = None,
    dataset: Annotated[
        Literal["esc10", "noise", "alarm"], typer.Option(help="Hearing: what to measure.")
    ] = "esc10",
    out: Out = Path("build/training"),
    seed: Annotated[int, typer.Option(help="Hearing: of everything random.")] = 1,
    quick: Annotated[
        bool, typer.Option(help="Alarms, control: two noises or kinds, to see that it runs.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option(help="Alarms, control: folder for page, plots and report.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure on sounds and heads that nothing was learned from."""
    if what == "control":
        evaluate_control(data, quick, out, write, json)
        return
    if what == "alarms":
        evaluate_alarms(data, quick, out, write, json)
        return
    if data is None:
        stop("--data: hearing is measured on recordings; give a folder of them, such as ESC-50")
    with usable_data():
        from training import commands

        report = commands.evaluate(dataset, data, out, seed)
    names = (f"model-confusion-{dataset}.png", "model-detection.png")
    write_page(out / f"{dataset}.html", f"Hearing, measured on {dataset}", report, pictures_in(out, *names))
    show_report(report, json)
    look_at(out / f"{dataset}.html", json)


def evaluate_control(data: Path | None, quick: bool, out: Path, write: Path | None, json: bool) -> None:
    """Measure the control path; prints the figures."""
    from tools.evaluation.command import measure, tables
    from tools.evaluation.page import files
    from tools.evaluation.page import write as write_docs
    from tools.report.raster import png

    with progress_bar(json) as progress:
        task = progress.add_task("listening", total=None)
        try:
            document = measure(data, quick, lambda k, n: progress.update(task, completed=k, total=n))
        except ValueError as fault:
            stop(str(fault))
    if write:
        write_docs(document, write)
    spectrograms = {
        Path(name).name: text.encode() for name, text in files(document).items() if name[-4:] == ".svg"
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, svg in spectrograms.items():
        (out / name).with_suffix(".png").write_bytes(png(svg.decode()))
    write_page(out / "control.html", "The control path, measured", document, spectrograms)
    if json:
        print(dumps(document))
    else:
        console.print(*tables(document))
    look_at(out / "control.html", json)


def evaluate_alarms(data: Path | None, quick: bool, out: Path, write: Path | None, json: bool) -> None:
    """Measure how soon alarms open a headset; prints the figures."""
    from anc.noise import Classifier
    from tools.evaluation import alarms, alarms_report

    with progress_bar(json) as progress:
        task = progress.add_task("wearing headsets", total=None)
        try:
            openings, noises = alarms.measure(
                data, quick, lambda k, n: progress.update(task, completed=k, total=n)
            )
        except (OSError, ValueError) as fault:
            stop(str(fault))
    options = (" --data DIR" if data else "") + (" --quick" if quick else "")
    command = f"anc evaluate alarms{options} --write docs --json"
    document = alarms_report.report(openings, noises, command, Classifier.load().sha256)
    if write:
        alarms_report.write(document, write)
    out.mkdir(parents=True, exist_ok=True)
    write_page(out / "alarms.html", "How soon alarms open a headset", document, {})
    if json:
        print(dumps(document))
    else:
        console.print(alarms_report.shown(document))
    look_at(out / "alarms.html", json)


@app.command(rich_help_panel=MEASURE)
def bench(
    out: Annotated[Path, typer.Option(help="Folder for figures and report.")] = Path("build/bench"),
    sounds: Annotated[Path | None, typer.Option(help="Folder of recordings; synthetic without.")] = None,
    quick: Annotated[bool, typer.Option(help="Fewer rounds: to see that it runs.")] = False,
    json: Json = False,
) -> None:
    """Measure the adaptive filters against everyone else's."""
    from tools.cli.bench import CannotMeasure, bench

    try:
        results = bench(out, sounds, quick, show=not json)
    except CannotMeasure as fault:
        stop(str(fault))
    if json:
        print(dumps(results))
    look_at(out / "report.html", json)


@app.command(rich_help_panel=MEASURE)
def fleet(
    headsets: Annotated[int, typer.Option(min=1, max=20_000, help="In the fleet.")] = 1000,
    minutes: Annotated[float, typer.Option(min=0.05, max=1440, help="For which they are worn.")] = 5.0,
    every: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds between a headset's snapshots.")
    ] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    json: Json = False,
) -> None:
    """Run a fleet against a platform of its own, held to one core."""
    from local.process import PlatformFailed
    from tools.fleet_load import FleetProgress, Plan, lost, measure, result_table

    try:
        with FleetProgress(hidden=json) as progress:
            result = measure(Plan(headsets, minutes, every, seed), settings(), progress.at)
    except PlatformFailed as fault:
        stop(str(fault))
    if json:
        print(dumps(result))
    else:
        console.print(result_table(result))
    if lost(result):
        raise typer.Exit(1)


@app.command(rich_help_panel=CARE)
def cost(
    headsets: Annotated[int, typer.Option(min=1, help="In the fleet.")] = 1000,
    hours_a_day: Annotated[float, typer.Option(min=0, max=24, help="For which each is worn.")] = 24.0,
    snapshots_per_hour: Annotated[float, typer.Option(min=0, max=3600, help="Of each, while worn.")] = 60.0,
    changed: Annotated[float, typer.Option(min=0, max=1, help="Share answered with a new filter.")] = 0.2,
    private: Annotated[float, typer.Option(min=0, max=1, help="Share of headsets in privacy mode.")] = 0.0,
    prices: Annotated[Path | None, typer.Option(help="Another table of prices (TOML).")] = None,
    write: Annotated[Path | None, typer.Option(help="Write the page here as well.")] = None,
    json: Json = False,
) -> None:
    """Reckon what a month on AWS costs, for three ways to build it."""
    from tools.cost import DESIGNS, SERVICES, Use, monthly, page, read_prices

    use = Use(headsets, hours_a_day, snapshots_per_hour, changed, private)
    try:
        known = read_prices(prices) if prices else read_prices()
    except ValueError as fault:
        stop(str(fault))
    dollars = monthly(use, known)
    if write:
        write.write_text(page(use, known))
    if json:
        print(dumps({"use": use._asdict(), "region": known.region, "noted": known.noted, "dollars": dollars}))
        return
    title = f"{headsets:,} headsets, {known.region}, prices of {known.noted}"
    shown = table("dollars a month", *DESIGNS, numbers=True, title=title)
    for service in SERVICES:
        shown.add_row(service, *(f"{dollars[design][service]:,.0f}" for design in DESIGNS))
    shown.add_section()
    shown.add_row("all", *(f"[bold]{sum(dollars[design].values()):,.0f}[/]" for design in DESIGNS))
    console.print(shown)


@app.command(rich_help_panel=CARE)
def doctor(
    url: Annotated[str | None, typer.Option(help="A platform that runs; this machine when left out.")] = None,
    token: Annotated[str | None, typer.Option(envvar="ANC_TOKEN", help="Looks at more with one.")] = None,
    sockets: Annotated[str | None, typer.Option(help="Its WebSocket URL, where it is not URL/ws.")] = None,
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Look whether this machine, or a platform that runs, is well."""
    from tools.doctor import examine_deployment, examine_machine

    shown = table("", "", "found", "what to do")
    findings = []
    for found in examine_deployment(url, token, sockets) if url else examine_machine(data, port):
        findings.append(found._asdict())
        colour = {"ok": "green", "look": "yellow", "failing": "red"}[found.state]
        shown.add_row(found.what, f"[{colour}]{found.state}[/]", escape(found.found), escape(found.advice))
    if json:
        print(dumps(findings))
    else:
        console.print(shown)
    if any(finding["state"] == "failing" for finding in findings):
        raise typer.Exit(1)


@app.command(rich_help_panel=CARE)
def smoke(
    url: Annotated[str | None, typer.Option(help="Of its REST API; on this machine when left out.")] = None,
    sockets: Annotated[str | None, typer.Option(help="Its WebSocket URL, where it is not URL/ws.")] = None,
    token: Annotated[str | None, typer.Option(envvar="ANC_TOKEN", help="An admin's.")] = None,
    stacks: Annotated[
        str | None, typer.Option(help="On AWS: what its stacks' names begin with, such as anc-dev.")
    ] = None,
    https: Annotated[bool, typer.Option(help="On AWS: snapshots over HTTPS instead of MQTT.")] = False,
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Walk once through all that a platform does, and tidy up."""
    from httpx import ConnectError

    from local.listen_ports import NotServing
    from tools.smoke.command import FAULTS, target
    from tools.smoke.steps import Smoke

    shown = table("", "seen", "seconds")
    seen, fault = [], ""
    try:
        for step in Smoke(target(url, sockets, token, stacks, https, port, data)).run():
            seen.append(step._asdict())
            shown.add_row(step.what, escape(step.found), f"{step.seconds:.1f}")
    except (NotServing, UnusableFolder) as failed:
        fault = str(failed)
    except ConnectError as failed:
        start = command_line("up", port, data)
        fault = f"no platform answers ({failed}); start one with `{start}`, or is the address wrong?"
    except FAULTS as failed:
        fault = f"{type(failed).__name__}: {failed}"
    if json:
        print(dumps({"seen": seen, "fault": fault}))
    elif seen:
        console.print(shown)
    if fault:
        stop(fault)


@contextmanager
def usable_data() -> Iterator[None]:
    """Stop with a sentence when something is wrong with the data."""
    try:
        yield
    except ValueError as fault:
        stop(str(fault))


def look_at(page: Path, json: bool) -> None:
    """Say where a page is, to people."""
    if not json:
        console.print(f"to look at: {page}", highlight=False, soft_wrap=True)


def show_report(report: dict[str, Any], json: bool) -> None:
    """Print what was measured: everything for machines, the figures at the top for people."""
    if json:
        print(dumps(report))
        return
    shown = table("", "")
    for name, value in report.items():
        if not isinstance(value, dict | list):
            shown.add_row(name, str(value))
    console.print(shown)
