"""What every command shares: where it prints, how it stops, the options that mean the same everywhere."""

import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from typer.core import TyperGroup

from anc.settings import BadSetting, Settings
from anc.wire.refusal import Refused

console, errors = Console(), Console(stderr=True)

Data = Annotated[Path, typer.Option(help="Folder in which the platform keeps everything.")]
Port = Annotated[int, typer.Option(min=1, max=65_534, help="REST and WebSocket; MQTT is on the next one.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")]
DEFAULT_DATA = Path("anc-data")
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


class Plainly(TyperGroup):
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
        except OSError as fault:
            if fault.filename is None:
                raise
            stop(f"{fault.filename}: {fault.strerror}; is the name right, and may you read and write there?")
        except Refused as refusal:
            stop(refusal.message)


def complain(reason: str) -> None:
    """Print what is wrong to stderr, on one line."""
    errors.print(f"[bold red]anc:[/] {escape(reason)}", highlight=False, soft_wrap=True)


def stop(reason: str) -> NoReturn:
    """Say why, and end with exit code 2."""
    complain(reason)
    raise typer.Exit(2)
