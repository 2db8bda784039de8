"""The `anc` command."""

import os
from json import dumps
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from dotenv import load_dotenv
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from anc.services.identity import Role
from anc.settings import BadSetting, Settings
from anc.wire.refusal import Refused

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_show_locals=False)
console, errors = Console(), Console(stderr=True)

Data = Annotated[Path, typer.Option(help="Folder in which the platform keeps everything.")]
Port = Annotated[int, typer.Option(min=1, max=65_534, help="REST and WebSocket; MQTT is on the next one.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")]
DEFAULT_DATA = Path("anc-data")
DEFAULT_PORT = 8080


@app.callback()
def main() -> None:
    """Backend for noise-cancelling headsets: the headset cancels, the cloud thinks."""
    load_dotenv(Path(".env"))


def settings() -> Settings:
    """Return the settings, or stop with a sentence that names the wrong one."""
    try:
        return Settings.from_env(os.environ)
    except BadSetting as fault:
        stop(str(fault))


def stop(reason: str) -> NoReturn:
    """Say why, and end with exit code 2."""
    errors.print(f"[bold red]anc:[/] {escape(reason)}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)


@app.command()
def up(
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    demo: Annotated[bool, typer.Option(help="Add a demo headset in noise, and watch it.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Run the platform on this machine."""
    from local.edition import CannotListen, Edition, FolderInUse

    try:
        edition = Edition(data, port, settings(), host)
        edition.run(lambda: print(f"the platform is up: http://{host}:{port}  MQTT {port + 1}", flush=True))
    except (BadSetting, CannotListen, FolderInUse) as fault:
        stop(str(fault))


@app.command()
def token(
    data: Data = DEFAULT_DATA,
    role: Annotated[Role, typer.Option(help="What it may do.")] = "listener",
    user: Annotated[str, typer.Option(help="Whose token it is.")] = "demo",
    hours: Annotated[float, typer.Option(min=0.01, max=8760, help="How long it is valid.")] = 12.0,
) -> None:
    """Print a bearer token for the platform on this machine."""
    from local.issuer import Issuer

    print(Issuer(data, settings()).issue(user, role, hours))


@app.command()
def cancel(
    source: Annotated[Path, typer.Argument(help="Two channels: reference and primary.", exists=True)],
    target: Annotated[Path, typer.Argument(help="Where the cleaned primary goes (wav, flac, ogg).")],
    algorithm: Annotated[Literal["fdaf", "nlms"], typer.Option(help="Filter.")] = "fdaf",
    taps: Annotated[int, typer.Option(min=1, max=4096)] = 512,
    mu: Annotated[float, typer.Option(min=0.001, max=1.999, help="Step size.")] = 0.5,
    json: Json = False,
) -> None:
    """Clean a recording: remove from its primary channel what the reference explains."""
    from local.cancel import cancel_file

    with Progress(console=errors, disable=json, transient=True) as progress:
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
    if json:
        print(dumps(report.document()))
        return
    table = Table("", "before", "after", "attenuation", title=f"{target}: {report.seconds:.1f} s")
    table.add_row(
        "primary, dBFS",
        f"{report.level_before_dbfs:.1f}",
        f"{report.level_after_dbfs:.1f}",
        f"{report.attenuation_db:.1f} dB",
    )
    table.add_row("second half", "", "", f"{report.attenuation_last_half_db:.1f} dB")
    console.print(table)
