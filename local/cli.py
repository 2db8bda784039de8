"""The `anc` command."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from dotenv import load_dotenv
from rich.console import Console

from anc.settings import BadSetting, Settings

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_show_locals=False)
errors = Console(stderr=True)

Data = Annotated[Path, typer.Option(help="Folder in which the platform keeps everything.")]
Port = Annotated[int, typer.Option(min=1, max=65_534, help="REST and WebSocket; MQTT is on the next one.")]
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


def stop(reason: str) -> "typing.NoReturn":
    """Say why, and end with exit code 2."""
    errors.print(f"[bold red]anc:[/] {reason}", highlight=False)
    raise typer.Exit(2)


@app.command()
def up(
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    demo: Annotated[bool, typer.Option(help="Add a demo headset in noise, and watch it.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Run the platform on this machine."""
    from local.edition import Edition, FolderInUse

    try:
        edition = Edition(data, port, settings(), host)
    except FolderInUse as fault:
        stop(str(fault))
    edition.run(lambda: print(f"the platform is up: http://{host}:{port}  MQTT {port + 1}", flush=True))


@app.command()
def token(
    data: Data = DEFAULT_DATA,
    role: Annotated[str, typer.Option(help="listener, operator or admin")] = "listener",
    user: Annotated[str, typer.Option(help="Whose token it is.")] = "demo",
    hours: Annotated[float, typer.Option(min=0.01, max=8760, help="How long it is valid.")] = 12.0,
) -> None:
    """Print a bearer token for the platform on this machine."""
    from local.issuer import Issuer

    print(Issuer(data, settings()).issue(user, role, hours))
