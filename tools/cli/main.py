"""The `anc` command."""

import os
import re
import signal
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from json import dumps
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from dotenv import load_dotenv
from rich.console import Console
from rich.markup import escape

from anc import __version__
from anc.audio.formats import SUPPORTED
from anc.lifetimes import MAX_TOKEN_HOURS
from anc.schemas.refusal import Refused
from anc.services.access.identity import Role
from anc.settings import BadSetting
from local.data_folder import require_platform
from tools.cli import measurements, signing_keys
from tools.cli.terminal import (
    DEFAULT_DATA,
    DEFAULT_PORT,
    Data,
    FriendlyErrors,
    Json,
    Port,
    announce,
    console,
    errors,
    print_error,
    print_notices,
    progress_bar,
    settings,
    stop,
    table,
)

if TYPE_CHECKING:
    from simulation.headset import SimulationResult
    from simulation.scenes import Medley, Scene

app = typer.Typer(
    cls=FriendlyErrors,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(measurements.app)
app.add_typer(signing_keys.app, name="keys", rich_help_panel="Run it")

Noise = Annotated[
    str | None,
    typer.Option(help=f"A recording ({SUPPORTED}), or cabin, engine or street; all three when left out."),
]
SCENE_S = 20.0
ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  to listen on, not to connect to
RUN, SOUND = "Run it", "Take a sound"


def play(
    port: int, data: Path, noise: str | None, seconds: float, shown: Console | None, json: bool = False
) -> "SimulationResult":
    """Run the platform and a headset in noise, until its end or an interrupt.

    Parameters
    ----------
    port, data, noise, seconds
        As in `demo`.
    shown : Console or None
        Where the headset's course goes; None shows nothing.
    json : bool
        Whether to print where the platform is as JSON.
    """
    from local.auth.issuer import Issuer
    from local.auth.login_links import ConsoleLink, LoginLinks
    from local.process import platform
    from tools.cli.demo import demonstrate

    scene, name = scene_of(noise, seconds)
    chosen = settings()
    signal.signal(signal.SIGTERM, interrupt_once)
    with failing_plainly(), ExitStack() as stack:
        with errors.status("starting the platform") if shown else nullcontext():
            running = stack.enter_context(platform(port, data))
        print_notices(running.notices, data)
        issuer = Issuer(data, chosen)
        link = ConsoleLink(running.url, LoginLinks(data, issuer), shown) if shown else None
        if link or json:
            announce(running.url, port, data, link)
        return demonstrate(running.url, data, issuer, scene, name, seconds, shown, link=link)


def interrupt_once(number: int, _: object) -> None:
    """Handle a signal as Ctrl-C, and ignore it while this process ends: service managers repeat it."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def scene_of(noise: str | None, seconds: float) -> "tuple[Medley | Scene, str]":
    """Return the noise that was asked for and what to call it."""
    from simulation.scenes import SCENES, Medley, Scene, UnusableRecording

    rate = 16_000
    if noise is None:
        return Medley.built_in(rate, min(seconds / len(SCENES), SCENE_S)), ", ".join(SCENES)
    if noise in SCENES:
        return Scene.built_in(noise, rate), noise
    if not Path(noise).exists():
        stop(f"--noise {noise}: there is no such file; built in are {', '.join(SCENES)}")
    try:
        return Scene.from_file(Path(noise), rate), Path(noise).name
    except (Refused, UnusableRecording) as fault:
        stop(f"--noise {fault}")


def show_result(result: "SimulationResult", json: bool) -> None:
    """Print how a run went."""
    from tools.cli.demo import result_document, result_table

    print(dumps(result_document(result)), flush=True) if json else console.print(result_table(result))


@contextmanager
def failing_plainly() -> Iterator[None]:
    """Turn what a person can mend into a sentence."""
    import httpx

    from local.listen_ports import NotServing, PortUnavailable
    from local.process import PlatformFailed

    try:
        yield
    except (BadSetting, PortUnavailable, NotServing, PlatformFailed) as fault:
        stop(str(fault))
    except httpx.TransportError as fault:
        stop(f"the platform does not answer any more ({fault}); is it still running?")


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        print(f"anc {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Backend for noise-cancelling headsets: the headset cancels, the cloud thinks."""
    load_dotenv(Path(".env"))


@app.command(rich_help_panel=RUN)
def up(
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    demo: Annotated[bool, typer.Option(help="Add a demo headset in noise, and watch it.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
    json: Json = False,
) -> None:
    """Run the platform on this machine."""
    if demo:
        show_result(play(port, data, None, inf, None if json else console, json), json)
        return
    from local.auth.login_links import ConsoleLink
    from local.process import Parent, cores
    from local.server import LocalPlatform

    os.umask(0o077)  # for every file that the platform makes, its libraries' too
    with failing_plainly():
        local_platform = LocalPlatform(data, port, settings(), host, live_workers=len(cores()))
        started_by = Parent(parent) if parent is not None else None  # a thread: after processes were forked
        url = f"http://{'127.0.0.1' if host in ANY_ADDRESS else host}:{port}"

        def ready() -> None:
            if started_by:
                started_by.tell_ready(url, local_platform.notices)
                return
            print_notices(local_platform.notices, data)
            announce(url, port, data, None if json else ConsoleLink(url, local_platform.login_links, console))

        local_platform.run(ready)


@app.command(rich_help_panel=RUN)
def demo(
    noise: Noise = None,
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="Of noise.")] = 30.0,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the levels at the ear into this .svg or .png.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what a headset gains in a noise, on a platform of its own."""
    from local.process import free_port
    from tools.cli.demo import write_picture

    with TemporaryDirectory() as data:
        result = play(free_port(), Path(data), noise, seconds, None if json else console)
    if picture:
        write_picture(result, scene_of(noise, seconds)[1], picture)
    show_result(result, json)


@app.command(rich_help_panel=RUN)
def headset(
    noise: Noise = None,
    seconds: Annotated[float, typer.Option(min=5, help="Of noise; endless when left out.")] = inf,
    thing: Annotated[str | None, typer.Option(help="The headset's name; demo-headset if left out.")] = None,
    measure: Annotated[
        Literal["probe", "music"] | None,
        typer.Option(help="Measure the secondary path first, with a probe or with music."),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(help="Of a headset registered anywhere: the answer to its registration, as JSON."),
    ] = None,
    claim: Annotated[
        Path | None,
        typer.Option(help="Come for its own certificate first, with the factory's claim and --thing."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="HOST[:PORT] of its MQTT broker, if not the one in the file.")
    ] = None,
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Run a simulated headset against a platform here, or anywhere."""
    from iot.provisioning import ClaimFailed
    from local.auth.login_links import ConsoleLink, LoginLinks
    from simulation.path_measurement import MeasurementFailed
    from tools.cli.demo import demonstrate
    from tools.cli.find_platform import find_platform
    from tools.cli.remote_headset import Unusable, claimed, identity, run_remote_headset

    scene, name = scene_of(noise, seconds)
    shown = None if json else console
    if endpoint and not (credentials or claim):
        stop("--endpoint: needs the --credentials of a headset that is registered there, or a --claim")
    try:
        who = None
        if claim:
            who = claimed(claim, endpoint, thing, data / "headsets")
        elif credentials:
            who = identity(credentials, endpoint, thing)
        if who:
            result = run_remote_headset(who, data, scene, name, seconds, shown, measure)
        else:
            with failing_plainly():
                url, issuer = find_platform(port, data, settings())
                link = ConsoleLink(url, LoginLinks(data, issuer), console) if console.is_terminal else None
                thing = thing or "demo-headset"
                result = demonstrate(url, data, issuer, scene, name, seconds, shown, thing, measure, link)
    except (MeasurementFailed, ClaimFailed, Unusable) as fault:
        stop(str(fault))
    show_result(result, json)


@app.command(rich_help_panel=RUN)
def claim(
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    json: Annotated[bool, typer.Option("--json", help="It is JSON in any case.")] = False,
) -> None:
    """Print the claim with which listed headsets come for a certificate."""
    from tools.cli.remote_headset import claim_of

    print(claim_of(data, port))


@app.command(rich_help_panel=RUN)
def token(
    data: Data = DEFAULT_DATA,
    role: Annotated[Role, typer.Option(help="What it may do.")] = "listener",
    user: Annotated[str, typer.Option(help="Whose token it is.")] = "demo",
    hours: Annotated[
        float,
        typer.Option(min=0.01, max=MAX_TOKEN_HOURS, help="How long it is valid."),
    ] = MAX_TOKEN_HOURS,
    json: Json = False,
) -> None:
    """Print a bearer token for the platform on this machine."""
    from anc.patterns import USER_NAME
    from local.auth.issuer import Issuer

    if not re.fullmatch(USER_NAME, user):
        stop(f"--user {user}: a name has 1 to 128 letters, digits or ._@+-")
    require_platform(data)
    made = Issuer(data, settings()).issue(user, role, hours)
    print(dumps({"token": made, "user": user, "role": role, "hours": hours}) if json else made)


@app.command(name="console", rich_help_panel=RUN)
def show_console(
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    role: Annotated[Role, typer.Option(help="What it may do.")] = "admin",
    show: Annotated[bool, typer.Option("--open", help="In the browser, instead of printing it.")] = False,
    json: Json = False,
) -> None:
    """Print an address that opens the console, once, signed in."""
    from local.auth.login_links import LoginLinks, console_address
    from tools.cli.find_platform import find_platform

    with failing_plainly():
        url, issuer = find_platform(port, data, settings())
    address = console_address(url, LoginLinks(data, issuer).make("demo", role))
    if json:
        print(dumps({"url": address}))
    elif not show:
        print(address)
    elif not webbrowser.open(address):
        stop("--open: this machine has no browser to open; leave it out and open the address elsewhere")


@app.command(rich_help_panel=SOUND)
def cancel(
    source: Annotated[
        Path, typer.Argument(help=f"Two channels, reference and primary ({SUPPORTED}).", exists=True)
    ],
    target: Annotated[Path, typer.Argument(help="Where the cleaned primary goes (wav, flac, ogg).")],
    algorithm: Annotated[Literal["fdaf", "nlms"], typer.Option(help="Filter.")] = "fdaf",
    taps: Annotated[int, typer.Option(min=1, max=4096)] = 512,
    mu: Annotated[float, typer.Option(min=0.001, max=1.999, help="Step size.")] = 0.5,
    report_to: Annotated[
        Path | None,
        typer.Option("--report", help="Draw what happened: a .png, or a .html page with one beside it."),
    ] = None,
    json: Json = False,
) -> None:
    """Clean a recording of what its reference channel explains."""
    from tools.cli.cancel import cancel_file, write_report

    if report_to and report_to.suffix.lower() not in (".png", ".html"):
        stop(f"--report {report_to}: its name ends in .png or .html")

    with progress_bar(json) as progress:
        task = progress.add_task("cancelling", total=None)
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
    if json:
        print(dumps(report.document()))
        return
    title = f"{target}: {report.seconds:.1f} s"
    shown = table("", "before, dBFS", "after, dBFS", "quieter, dB", numbers=True, title=title)
    levels = (report.level_before_dbfs, report.level_after_dbfs, report.attenuation_db)
    shown.add_row("all of it", *(f"{level:.1f}" for level in levels))
    shown.add_row("second half", "", "", f"{report.attenuation_last_half_db:.1f}")
    console.print(shown)
    if report_to:
        console.print(f"to look at: {report_to}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=SOUND)
def classify(
    files: Annotated[list[Path], typer.Argument(help=f"Sound files of up to twelve hours ({SUPPORTED}).")],
    model: Annotated[Path | None, typer.Option(help="Instead of the model that ships.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,
) -> None:
    """Name the noise in sound files, a minute at a time.

    A file that cannot be read is named on stderr and makes the exit code 1; the others are classified.
    """
    from anc.noise import ModelError
    from tools.cli.classify import classify as name

    shown = table("file", "from", "noise", "confidence", "alarm")
    failed = False
    try:
        for heard in name(files, errors, model):
            if "error" in heard:
                failed = True
                print_error(f"{heard['file']}: {heard['error']}")
            if json:
                print(dumps(heard))
            elif "error" not in heard:
                alarm = max(heard["kinds"], key=heard["kinds"].get) if heard["emergency"] else "-"
                start, sure = f"{heard['start_s']:.0f} s", f"{heard['confidence']:.0%}"
                shown.add_row(escape(heard["file"]), start, heard["label"], sure, alarm)
    except ModelError as fault:
        stop(str(fault))
    if shown.row_count:
        console.print(shown)
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
