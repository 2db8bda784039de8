"""The `anc` command."""

import os
import signal
import sys
from contextlib import ExitStack, nullcontext
from io import TextIOWrapper
from json import dumps
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from dotenv import load_dotenv
from rich.console import Console

from anc import __version__
from anc.audio.formats import SUPPORTED
from anc.schemas.refusal import Refused
from anc.settings import BadSetting
from local.configuration import LaunchSettings, load_secrets
from local.public_address import bypass_proxies
from tools.cli import (
    access,
    backups,
    configuration,
    devices,
    lists,
    logs,
    measurements,
    registry,
    rollouts,
    service,
    signing_keys,
    sound_files,
    training,
)
from tools.cli.terminal import (
    DEFAULT_DATA,
    DEFAULT_PORT,
    Data,
    FriendlyErrors,
    Json,
    Port,
    StartedPort,
    announce,
    console,
    errors,
    platform_errors,
    print_notices,
    printable,
    settings,
    stop,
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
for commands in (access, backups, registry, sound_files, training, measurements, lists, logs):
    app.add_typer(commands.app)
app.add_typer(devices.app, name="devices", rich_help_panel="Platform and headsets")
app.add_typer(rollouts.app, name="rollouts", rich_help_panel="Platform and headsets")
app.add_typer(signing_keys.app, name="keys", rich_help_panel="Platform and headsets")
app.add_typer(configuration.app, name="config", rich_help_panel="Platform and headsets")
app.add_typer(service.app, name="service", rich_help_panel="Platform and headsets")

Noise = Annotated[
    str | None,
    typer.Option(
        help=f"A recording ({SUPPORTED}), or a built-in noise: cabin, engine or street.",
        show_default="all built-in noises",
    ),
]
SCENE_S = 20.0
RUN = "Platform and headsets"


def play(
    port: int, data: Path, noise: str | None, seconds: float, view: Console | None, json: bool = False
) -> "SimulationResult":
    """Run the platform and a simulated headset until the noise ends or the user interrupts.

    Parameters
    ----------
    port, data, noise, seconds
        As in `demo`.
    view : Console or None
        Shows the run; None shows nothing.
    json : bool
        Print the platform's addresses as JSON.
    """
    from local.auth.issuer import Issuer
    from local.auth.login_links import ConsoleLink, LoginLinks
    from local.process import platform
    from tools.cli.demo import demonstrate

    scene, name = scene_of(noise, seconds)
    current = settings()
    signal.signal(signal.SIGTERM, interrupt_once)
    with platform_errors(), ExitStack() as stack:
        with errors.status("Starting the platform") if view else nullcontext():
            running = stack.enter_context(platform(port, data))
        print_notices(running.notices, data)
        issuer = Issuer(data, current)
        link = ConsoleLink(running.url, LoginLinks(data, issuer), view) if view else None
        if link or json:
            announce(running.url, port, data, link)
        return demonstrate(running.url, data, issuer, scene, name, seconds, view, link=link)


def interrupt_once(number: int, _: object) -> None:
    """Handle a signal as Ctrl-C, then ignore it: service managers repeat it during shutdown."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def scene_of(noise: str | None, seconds: float) -> "tuple[Medley | Scene, str]":
    """Return the scene that `--noise` selects, and its display name."""
    from simulation.scenes import SCENES, Medley, Scene, UnusableRecording

    rate = 16_000
    if noise is None:
        return Medley.built_in(rate, min(seconds / len(SCENES), SCENE_S)), ", ".join(SCENES)
    if noise in SCENES:
        return Scene.built_in(noise, rate), noise
    if not Path(noise).exists():
        stop(f"--noise {noise}: file not found; built-in noises are {', '.join(SCENES)}")
    try:
        return Scene.from_file(Path(noise), rate), printable(Path(noise).name)
    except (Refused, UnusableRecording) as fault:
        stop(f"--noise {fault}")


def show_result(result: "SimulationResult", json: bool) -> None:
    """Print the result of a run, as a table or as JSON."""
    from tools.cli.demo import result_document, result_table

    print(dumps(result_document(result)), flush=True) if json else console.print(result_table(result))


def show_version(requested: bool) -> None:
    """Print the version and exit."""
    if requested:
        print(f"anc {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Run and test the backend for noise-cancelling headsets."""
    context.obj = frozenset(os.environ)  # for `anc config show`
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            # A name with a character that the terminal lacks must not end a command.
            stream.reconfigure(errors="replace")
    load_dotenv(Path(".env"))
    bypass_proxies(os.environ)
    try:
        load_secrets(os.environ)
    except BadSetting as fault:
        stop(str(fault))


def tls_files(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Return a certificate chain and its key, or None without both; stop when they do not work."""
    import ssl

    if certificate is None or key is None:
        if certificate or key:
            stop("--tls-certificate and --tls-key: require each other")
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as fault:
        stop(f"--tls-certificate {certificate}: does not work with --tls-key {key} ({fault.reason})")
    return certificate, key


@app.command(rich_help_panel=RUN)
def up(
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    demo: Annotated[bool, typer.Option(help="Also run a simulated headset and show its levels.")] = False,
    host: Annotated[
        str,
        typer.Option(envvar="ANC_HOST", help="Address to listen on; 0.0.0.0 or :: for all of this machine."),
    ] = "127.0.0.1",
    name: Annotated[
        list[str] | None,
        typer.Option(
            envvar="ANC_NAME",
            help="Host name or address under which headsets and clients reach this machine; repeatable.",
        ),
    ] = None,
    tls: Annotated[
        bool,
        typer.Option(
            envvar="ANC_TLS", help="Use TLS for REST and WebSocket, with the platform's own authority."
        ),
    ] = False,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            envvar="ANC_TLS_CERTIFICATE",
            show_envvar=False,
            help="Certificate chain for TLS, PEM; requires --tls-key.",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(envvar="ANC_TLS_KEY", show_envvar=False, help="Private key of --tls-certificate, PEM."),
    ] = None,
    simulate_fleet: Annotated[
        bool,
        typer.Option(
            "--simulate-fleet",
            help="Let headsets of `anc fleet --populate` report every minute and install updates.",
        ),
    ] = False,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
    json: Json = False,
) -> None:
    """Run the platform on this machine."""
    if demo:
        show_result(play(port, data, None, inf, None if json else console, json), json)
        return
    from local.auth.login_links import ConsoleLink
    from local.process import Parent, cores
    from local.public_address import InvalidName, PublicAddress
    from local.server import LocalPlatform

    os.umask(0o077)  # covers files that libraries create
    files = tls_files(tls_certificate, tls_key)
    try:
        address = PublicAddress.of(host, port, name or (), tls or files is not None, files is None)
    except InvalidName as fault:
        stop(str(fault))
    with platform_errors():
        current, launch = settings(), LaunchSettings.from_env(os.environ)
        local_platform = LocalPlatform(data, address, current, files, len(cores()), launch)
        started_by = Parent(parent) if parent is not None else None  # starts a thread: only after forking
        url = address.url

        def ready() -> None:
            if started_by:
                started_by.tell_ready(url, local_platform.notices)
                return
            print_notices(local_platform.notices, data)
            announce(url, port, data, None if json else ConsoleLink(url, local_platform.login_links, console))
            if simulate_fleet:
                from tools.simulated_fleet import start

                start(local_platform.deps, local_platform.headset_jobs)

        local_platform.run(ready)


@app.command(rich_help_panel=RUN)
def demo(
    noise: Noise = None,
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="Duration of the noise.")] = 30.0,
    picture: Annotated[
        Path | None, typer.Option(help="Plot the levels at the ear to this .svg or .png file.")
    ] = None,
    json: Json = False,
) -> None:
    """Run a simulated headset on a temporary platform."""
    from local.process import free_port
    from tools.cli.demo import write_plot

    if picture:
        import tools.report.level_plot  # noqa: F401  a missing package is to fail before the run
    with TemporaryDirectory() as data:
        result = play(free_port(), Path(data), noise, seconds, None if json else console)
    if picture:
        write_plot(result, scene_of(noise, seconds)[1], picture)
    show_result(result, json)


@app.command(rich_help_panel=RUN)
def headset(
    noise: Noise = None,
    seconds: Annotated[
        float, typer.Option(min=5, help="Duration of the noise.", show_default="unlimited")
    ] = inf,
    thing: Annotated[
        str | None, typer.Option(help="Name of the headset.", show_default="demo-headset")
    ] = None,
    measure: Annotated[
        Literal["probe", "music"] | None,
        typer.Option(help="Measure the secondary path first, with a probe signal or with music."),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(help="JSON response of the headset's registration, for a platform elsewhere."),
    ] = None,
    claim: Annotated[
        Path | None,
        typer.Option(help="JSON file of a claim certificate; provisions the headset named by --thing."),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="HOST[:PORT] of the MQTT broker.", show_default="the one in the file"),
    ] = None,
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Run a simulated headset against a local or remote platform."""
    from iot.provisioning import ClaimFailed
    from local.auth.login_links import ConsoleLink, LoginLinks
    from simulation.path_measurement import MeasurementFailed
    from tools.cli.demo import demonstrate
    from tools.cli.find_platform import find_platform
    from tools.cli.remote_headset import (
        InvalidCredentials,
        provisioned_identity,
        read_identity,
        run_remote_headset,
    )

    scene, name = scene_of(noise, seconds)
    view = None if json else console
    if endpoint and not (credentials or claim):
        stop("--endpoint: requires --credentials or --claim")
    try:
        remote = None
        if claim:
            remote = provisioned_identity(claim, endpoint, thing, data / "headsets")
        elif credentials:
            remote = read_identity(credentials, endpoint, thing)
        if remote:
            result = run_remote_headset(remote, data, scene, name, seconds, view, measure)
        else:
            with platform_errors():
                url, issuer = find_platform(port, data, settings())
                link = ConsoleLink(url, LoginLinks(data, issuer), console) if console.is_terminal else None
                thing = thing or "demo-headset"
                result = demonstrate(url, data, issuer, scene, name, seconds, view, thing, measure, link)
    except (MeasurementFailed, ClaimFailed, InvalidCredentials) as fault:
        stop(str(fault))
    show_result(result, json)


@app.command(rich_help_panel=RUN)
def redrive(
    queue: Annotated[str | None, typer.Argument(help="Queue; without it, show the number of each.")] = None,
    show: Annotated[str | None, typer.Option(metavar="ID", help="Show a dead letter without sound.")] = None,
    send: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Send a dead letter to its queue again; repeatable."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Send all dead letters of the queue.")] = False,
    stacks: Annotated[
        str | None, typer.Option(help="Prefix of the stacks of a deployment on AWS, such as anc-dev.")
    ] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """List messages that could not be processed, or retry them."""
    from tools.cli import redrive as command

    with platform_errors():
        command.redrive(command.open_store(data, stacks), queue, show, send or [], everything, json)


if __name__ == "__main__":
    app()
