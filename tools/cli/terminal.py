"""What every command shares: where it prints, how it stops, the options that mean the same everywhere."""

import errno
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from typer.core import TyperGroup

from anc.schemas.refusal import Refused
from anc.settings import BadSetting, Settings
from local.data_folder import UnusableFolder, default_folder, former_data

if TYPE_CHECKING:
    from local.auth.login_links import ConsoleLink

console, errors = Console(), Console(stderr=True)

Data = Annotated[
    Path,
    typer.Option(
        envvar="ANC_DATA",
        help="Folder in which the platform keeps everything.",
        show_default="one per user, printed by `anc up`",
    ),
]
Port = Annotated[int, typer.Option(min=1, max=65_534, help="REST and WebSocket; MQTT is on the next one.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")]
DEFAULT_DATA = default_folder()
DEFAULT_PORT = 8080


def table(*columns: str, numbers: bool = False, title: str | None = None) -> Table:
    """Return an empty table in the look that all commands share; of `numbers`, but for its first column."""
    shown = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for k, name in enumerate(columns):
        shown.add_column(name, justify="right" if numbers and k else "left")
    return shown


def progress_bar(json: bool) -> Progress:
    """Return a bar that goes when its work is done; for people at a terminal, not for machines and logs."""
    return Progress(console=errors, disable=json or not errors.is_terminal, transient=True)


def settings() -> Settings:
    """Return the settings, or stop with a sentence that names the wrong one."""
    try:
        return Settings.from_env(os.environ)
    except BadSetting as fault:
        stop(str(fault))


def command_line(command: str, port: int, data: Path) -> str:
    """Return the command line, to paste into a shell, that runs a command on a platform's port and folder."""
    started_as = sys.argv[0]
    by_path = Path(started_as).name == "anc" and not shutil.which("anc")
    words = [started_as if by_path else "anc", command]
    if port != DEFAULT_PORT:
        words += ["--port", str(port)]
    if data.absolute() != DEFAULT_DATA:
        words += ["--data", str(data.absolute())]
    return shlex.join(words)


def print_notices(notices: Sequence[str], data: Path) -> None:
    """Print what the owner of a platform has to know when it starts, one line each."""
    for notice in [*notices, *filter(None, [former_data(data)])]:
        errors.print(f"[bold yellow]anc:[/] {escape(notice)}", highlight=False, soft_wrap=True)


def announce(url: str, port: int, data: Path, link: "ConsoleLink | None") -> None:
    """Print where the platform is, and an address that opens the console; as JSON when there is no link."""
    if link is None:
        socket = url.replace("http", "ws", 1) + "/ws"
        where = {"url": url, "socket": socket, "mqtt_port": port + 1, "data": str(data.absolute())}
        print(json.dumps(where), flush=True)
        return
    print(f"the platform is up: {url}  MQTT {port + 1}", flush=True)
    print(f"its data folder:    {data.absolute()}", flush=True)
    link.show()
    again = command_line("console", port, data)
    print(f"                    signs in once, within ten minutes; then: {again}", flush=True)


class FriendlyErrors(TyperGroup):
    """Commands of which each says in a sentence which file, folder or package it could not use, and why."""

    def invoke(self, ctx: Any) -> Any:
        """Run what was asked for."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            stop(
                f"the Python package {missing.name} is not installed; training and measuring hearing need it:"
                " run `make .venv/train.stamp` in a checkout, or install the extra `train`"
            )
        except UnusableFolder as fault:
            stop(str(fault))
        except OSError as fault:
            if fault.errno in (errno.ENOSPC, errno.EDQUOT):
                stop("no space is left on the disk; make some, or choose another folder")
            if fault.filename is None:
                raise
            stop(f"{fault.filename}: {fault.strerror}; is the name right, and may you read and write there?")
        except Refused as refusal:
            stop(refusal.message)


def print_error(reason: str) -> None:
    """Print what is wrong to stderr, on one line."""
    errors.print(f"[bold red]anc:[/] {escape(reason)}", highlight=False, soft_wrap=True)


def stop(reason: str) -> NoReturn:
    """Say why, and end with exit code 2."""
    print_error(reason)
    raise typer.Exit(2)
