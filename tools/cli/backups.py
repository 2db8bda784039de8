"""`anc backup` and `anc restore`: copy the data folder of the platform on this machine."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from local.backup import Archived, BackupFailed, back_up
from local.backup import restore as restore_folder
from tools.cli.terminal import DEFAULT_DATA, Data, Json, stop

app = typer.Typer()
PANEL = "Platform and headsets"


@app.command(rich_help_panel=PANEL)
def backup(
    file: Annotated[Path, typer.Argument(help="New file for the backup.")],
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Back up the data folder to a file.

    The platform may be running. The file contains private keys. Only you can read it.
    """
    try:
        written = back_up(data, file)
    except BackupFailed as fault:
        stop(str(fault))
    _print(f"Backed up {data.absolute()} to {file}", written, json)


@app.command(rich_help_panel=PANEL)
def restore(
    file: Annotated[Path, typer.Argument(help="File that `anc backup` wrote.")],
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Create a data folder from a backup.

    The folder must be missing or empty.
    """
    try:
        read = restore_folder(file, data)
    except BackupFailed as fault:
        stop(str(fault))
    _print(f"Restored {file} to {data.absolute()}", read, json)


def _print(done: str, archived: Archived, json: bool) -> None:
    if json:
        print(dumps(archived._asdict()))
    else:
        print(f"{done}: {archived.files:,} files, {archived.size / 1e6:,.1f} MB")
