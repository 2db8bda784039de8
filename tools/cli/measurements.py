"""The commands `evaluate`, `bench`, `fleet`, `cost`, `scale`, `doctor` and `smoke`."""

import time
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from local.data_folder import UnusableFolder
from tools.cli import training
from tools.cli.terminal import (
    DEFAULT_DATA,
    DEFAULT_PORT,
    Data,
    Json,
    Port,
    StartedPort,
    command_line,
    console,
    print_report_path,
    progress_bar,
    settings,
    stop,
    table,
)
from tools.cli.training import MEASURE

app = typer.Typer()
OPERATE = "Operations"


@app.command(rich_help_panel=MEASURE)
def evaluate(
    what: Annotated[
        Literal["classifier", "alarms", "false-alarms", "control"],
        typer.Argument(
            help="Accuracy of the classifier, reaction time to alarms, false alarms, or the control path."
        ),
    ] = "classifier",
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of recordings; only the classifier needs one, and takes several."),
    ] = None,
    teacher: training.TeacherFile = None,
    folds: training.Folds = 5,
    steps: training.Steps = None,
    clips: training.Clips = None,
    seed: training.Seed = 1,
    out: training.Out = Path("build/training"),
    quick: Annotated[bool, typer.Option(help="All but classifier: a minimal run.")] = False,
    write: Annotated[
        Path | None, typer.Option(help="All but classifier: write the docs page, plots and data here.")
    ] = None,
    json: Json = False,
) -> None:
    """Evaluate classifier, alarms, false alarms or control path."""
    if what == "classifier":
        if not data:
            stop("--data: required to evaluate the classifier; a folder of recordings such as ESC-50")
        with training.training_errors():
            options = training.options_of(teacher, folds, steps, clips, seed)
        training.evaluate_classifier(data, options, out, json)
        return
    if data and len(data) > 1:
        stop(f"--data: at most one folder, except for the classifier (got {len(data)})")
    folder = data[0] if data else None
    if what == "control":
        evaluate_control(folder, quick, out, write, json)
    elif what == "alarms":
        evaluate_alarms(folder, quick, out, write, json)
    else:
        evaluate_false_alarms(folder, quick, write, json)


def evaluate_control(data: Path | None, quick: bool, out: Path, write: Path | None, json: bool) -> None:
    """Evaluate the control path, write the report and print the figures."""
    from tools.evaluation import page
    from tools.evaluation.command import measure, tables
    from tools.report.page import write_page

    with progress_bar(json) as progress:
        task = progress.add_task("Simulating", total=None)
        try:
            document = measure(data, quick, lambda k, n: progress.update(task, completed=k, total=n))
        except ValueError as fault:
            stop(str(fault))
    plots = page.figures(document, "svg")
    if write:
        page.write(document, write, plots)
    out.mkdir(parents=True, exist_ok=True)
    for name, png in page.figures(document, "png").items():
        (out / name).write_bytes(png)
    write_page(out / "control.html", "Control path evaluation", document, plots)
    if json:
        print(dumps(document))
    else:
        console.print(*tables(document))
    report_written(out / "control.html", json)


def evaluate_alarms(data: Path | None, quick: bool, out: Path, write: Path | None, json: bool) -> None:
    """Evaluate the reaction time to alarms, write the report and print the figures."""
    from anc.noise import Classifier
    from tools.evaluation import alarms, alarms_report
    from tools.report.page import write_page

    with progress_bar(json) as progress:
        task = progress.add_task("Simulating", total=None)
        try:
            responses, noises = alarms.measure(
                data, quick, lambda k, n: progress.update(task, completed=k, total=n)
            )
        except (OSError, ValueError) as fault:
            stop(str(fault))
    options = (" --data DIR" if data else "") + (" --quick" if quick else "")
    command = f"anc evaluate alarms{options} --write docs --json"
    document = alarms_report.report(responses, noises, command, Classifier.load().sha256)
    if write:
        alarms_report.write(document, write)
    out.mkdir(parents=True, exist_ok=True)
    write_page(out / "alarms.html", "Reaction time to alarms", document, {})
    if json:
        print(dumps(document))
    else:
        console.print(alarms_report.result_table(document))
    report_written(out / "alarms.html", json)


def evaluate_false_alarms(data: Path | None, quick: bool, write: Path | None, json: bool) -> None:
    """Count false alarms, write the report and print the figures."""
    from tools.evaluation import false_alarms, false_alarms_report

    with progress_bar(json) as progress:
        task = progress.add_task("Listening", total=None)
        try:
            document = false_alarms.measure(
                data, quick, lambda k, n: progress.update(task, completed=k, total=n)
            )
        except (OSError, ValueError) as fault:
            stop(str(fault))
    options = (" --data DIR" if data else "") + (" --quick" if quick else "")
    document["command"] = f"anc evaluate false-alarms{options} --write docs --json"
    if write:
        false_alarms_report.write(document, write)
    if json:
        print(dumps(document))
    else:
        console.print(*false_alarms_report.result_tables(document))


@app.command(rich_help_panel=MEASURE)
def bench(
    out: Annotated[Path, typer.Option(help="Output folder for figures and report.")] = Path("build/bench"),
    sounds: Annotated[
        Path | None, typer.Option(help="Folder of recordings.", show_default="synthetic noise")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Run fewer rounds.")] = False,
    json: Json = False,
) -> None:
    """Benchmark the adaptive filters against other libraries."""
    from tools.cli.bench import CannotMeasure, bench

    try:
        results = bench(out, sounds, quick, show=not json)
    except CannotMeasure as fault:
        stop(str(fault))
    if json:
        print(dumps(results))
    report_written(out / "report.html", json)


@app.command(rich_help_panel=MEASURE)
def fleet(
    headsets: Annotated[int, typer.Option(min=1, max=20_000, help="Number of headsets.")] = 1000,
    minutes: Annotated[float, typer.Option(min=0.05, max=1440, help="Duration of the test.")] = 5.0,
    every: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds between a headset's snapshots.")
    ] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    populate: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Add so many headsets to --data instead, and exit."),
    ] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Load-test a temporary platform with a simulated fleet."""
    if populate:
        _populate(data, populate, seed, json)
        return
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


def _populate(data: Path, headsets: int, seed: int, json: bool) -> None:
    from tools.fleet_population import populate

    begun = time.monotonic()
    with progress_bar(json) as bar:
        task = bar.add_task("Adding headsets", total=headsets)
        populate(data, headsets, seed, settings(), lambda done: bar.update(task, completed=done))
    result = {
        "headsets": headsets,
        "data": str(data.absolute()),
        "seconds": round(time.monotonic() - begun, 1),
    }
    if json:
        print(dumps(result))
    else:
        console.print(
            f"Added {headsets:,} simulated headsets to {data} in {result['seconds']} s.", soft_wrap=True
        )


@app.command(rich_help_panel=OPERATE)
def cost(
    headsets: Annotated[int, typer.Option(min=1, help="Number of headsets.")] = 1000,
    hours_a_day: Annotated[float, typer.Option(min=0, max=24, help="Hours of use per headset.")] = 24.0,
    prices: Annotated[
        Path | None, typer.Option(help="Price table (TOML).", show_default="the built-in table")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure a day of a headset first, which takes minutes.")
    ] = False,
    write: Annotated[Path | None, typer.Option(help="Also write the docs page to this file.")] = None,
    json: Json = False,
) -> None:
    """Estimate the monthly AWS cost of a fleet for three designs."""
    from tools.cost import command

    with progress_bar(json) as progress:
        task = progress.add_task("Simulating", total=1.0, visible=measure)
        try:
            estimate = command.estimate(
                headsets, hours_a_day, prices, measure, lambda done: progress.update(task, completed=done)
            )
        except ValueError as fault:
            stop(str(fault))
    if write:
        write.write_text(estimate.page())
    if json:
        print(dumps(estimate.document()))
    else:
        console.print(command.result_table(estimate))


@app.command(rich_help_panel=OPERATE)
def scale(
    write: Annotated[Path | None, typer.Option(help="Also write the docs page to this file.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the simulation.")] = 0,
    json: Json = False,
) -> None:
    """Compare fleets with AWS quotas; simulate how they reconnect."""
    from tools.scale import command

    with progress_bar(json) as progress:
        task = progress.add_task("Simulating", total=1.0)
        result = command.measure(seed, lambda done: progress.update(task, completed=done))
    if write:
        write.write_text(command.page_of(result))
    if json:
        print(dumps(command.document(result)))
    else:
        console.print(*command.tables(result))


@app.command(rich_help_panel=OPERATE)
def doctor(
    url: Annotated[
        str | None,
        typer.Option(help="REST URL of a running deployment.", show_default="check this machine"),
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="ANC_TOKEN", help="Bearer token; enables more checks of --url.")
    ] = None,
    sockets: Annotated[str | None, typer.Option(help="WebSocket URL.", show_default="URL/ws")] = None,
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Check this machine or a running deployment."""
    from tools.doctor import check_deployment, check_machine

    rows = table("Check", "State", "Found", "Suggestion")
    findings = []
    for finding in check_deployment(url, token, sockets) if url else check_machine(data, port):
        findings.append(finding._asdict())
        colour = {"ok": "green", "warning": "yellow", "failing": "red"}[finding.state]
        state = f"[{colour}]{finding.state}[/]"
        rows.add_row(finding.what, state, escape(finding.found), escape(finding.advice))
    if json:
        print(dumps(findings))
    else:
        console.print(rows)
    if any(finding["state"] == "failing" for finding in findings):
        raise typer.Exit(1)


@app.command(rich_help_panel=OPERATE)
def smoke(
    url: Annotated[
        str | None, typer.Option(help="REST URL.", show_default="the platform on this machine")
    ] = None,
    sockets: Annotated[str | None, typer.Option(help="WebSocket URL.", show_default="URL/ws")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="ANC_TOKEN", help="Bearer token of an admin, for --url.")
    ] = None,
    stacks: Annotated[
        str | None, typer.Option(help="AWS: name prefix of the stacks, such as anc-dev.")
    ] = None,
    https: Annotated[bool, typer.Option(help="AWS: publish snapshots over HTTPS instead of MQTT.")] = False,
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Test every feature of a running platform, then clean up."""
    from httpx import ConnectError

    from local.listen_ports import NotServing
    from tools.smoke.command import FAULTS, target
    from tools.smoke.steps import Smoke

    rows = table("Step", "Result", "Seconds")
    passed, fault = [], ""
    try:
        for step in Smoke(target(url, sockets, token, stacks, https, port, data)).run():
            passed.append(step._asdict())
            rows.add_row(step.what, escape(step.found), f"{step.seconds:.1f}")
    except (NotServing, UnusableFolder) as failed:
        fault = str(failed)
    except ConnectError as failed:
        start = command_line("up", port or DEFAULT_PORT, data)
        fault = f"cannot connect ({failed}); check the address, or start a platform with `{start}`"
    except FAULTS as failed:
        fault = f"{type(failed).__name__}: {failed}"
    if json:
        print(dumps({"seen": passed, "fault": fault}))
    elif passed:
        console.print(rows)
    if fault:
        stop(fault)


def report_written(page: Path, json: bool) -> None:
    """Print where a report was written, unless the output is JSON."""
    if not json:
        print_report_path(page)
