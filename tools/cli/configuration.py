"""`anc config`: show the settings of the platform on this machine."""

import os
from json import dumps
from typing import Annotated

import typer
from rich.markup import escape

from local.configuration import OPTIONS, SETTINGS, configured, unknown_names
from tools.cli.terminal import Json, console, print_error, print_warning, print_whole, table
from tools.settings_page import example as example_file

app = typer.Typer(no_args_is_help=True)


@app.callback()
def config() -> None:
    """Show the settings."""


@app.command()
def show(context: typer.Context, json: Json = False) -> None:
    """Print every setting: value, source, default and meaning.

    Exits with code 2 if a value is invalid. Secrets are not shown.
    """
    found = configured(os.environ, context.obj)
    unknown = unknown_names(os.environ)
    if json:
        settings = [
            {
                **each.setting._asdict(),
                "option": OPTIONS.get(each.setting.name),
                "value": each.value,
                "source": each.source,
                "fault": each.fault or None,
            }
            for each in found
        ]
        print(dumps({"settings": settings, "warnings": unknown}))
    else:
        rows = table("setting", "value", "from", "default", "meaning")
        for each in found:
            style = None if each.source == "default" else "bold"
            cells = [each.setting.name, each.value, each.source, each.setting.default, each.setting.meaning]
            rows.add_row(*map(escape, cells), style=style)
        if console.is_terminal:
            console.print(rows)
        else:
            print_whole(rows)
    for warning in unknown:
        print_warning(warning)
    faults = [each.fault for each in found if each.fault]
    for fault in faults:
        print_error(fault)
    if faults:
        raise typer.Exit(2)


@app.command()
def example(
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object of names and defaults.")
    ] = False,
) -> None:
    """Print a `.env` file with every setting at its default."""
    if json:
        print(dumps({setting.name: setting.default for setting in SETTINGS}))
    else:
        print(example_file(), end="")
