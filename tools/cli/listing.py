"""Shared by the commands that list what a platform knows: its client, tables, `--json` and `--watch`."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.live import Live
from rich.table import Table

from tools.cli.terminal import console, literal, print_whole, settings, stop, table

if TYPE_CHECKING:
    from anc.records import Role
    from anc_client import Client

Url = Annotated[str | None, typer.Option(help="REST API of another platform.")]
Token = Annotated[str | None, typer.Option(envvar="ANC_TOKEN", help="Bearer token for --url.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show the list again when it changes, until Ctrl-C.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Number of entries to show.")]
FILTER = "Filters"
Online = Annotated[
    bool | None, typer.Option("--online/--offline", rich_help_panel=FILTER, help="Connected or not.")
]
Below = Annotated[
    float | None,
    typer.Option(min=-100, max=100, rich_help_panel=FILTER, help="Attenuation below this, in dB."),
]
RefusedHours = Annotated[
    float | None,
    typer.Option(min=0.01, max=720, rich_help_panel=FILTER, help="A message refused within hours."),
]
RevertedHours = Annotated[
    float | None,
    typer.Option(min=0.01, max=720, rich_help_panel=FILTER, help="A filter reverted within hours."),
]
DEFAULT_LIMIT = 50
WATCH_S = 2.0


class Listing(NamedTuple):
    """How a list is shown.

    Attributes
    ----------
    name : str
        Plural; the field of the JSON object.
    columns : mapping
        Text of the cell of an entry, by the title of its column.
    """

    name: str
    columns: Mapping[str, Callable[[Any], str]]


class Platform(NamedTuple):
    """Which platform to ask: on this machine by port and data folder, or elsewhere by URL and token."""

    port: int | None
    data: Path
    url: str | None
    token: str | None


@contextmanager
def connected(platform: Platform, role: "Role", user: str = "demo") -> Iterator["Client"]:
    """Yield a client, on this machine as `user` with `role`; stop with an error that the user can fix."""
    import httpx

    from anc_client import ApiError, Client
    from local.listen_ports import NotServing
    from tools.cli.find_platform import find_platform

    port, data, url, token = platform
    try:
        if url is None:
            url, issuer = find_platform(port, data, settings())
            token = issuer.issue(user, role)
        elif not token:
            stop("--url: requires --token, or ANC_TOKEN in the environment")
        with Client(url, token or "") as client:
            yield client
    except (NotServing, ApiError) as fault:
        stop(str(fault))
    except httpx.TransportError as fault:
        stop(f"{url}: {fault}")


def refuse_list_options(context: typer.Context) -> None:
    """Stop if an option of the list stands before a command that it would not apply to.

    `anc devices --tag night remove AX2-1` does not remove the headsets with the tag.
    """
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "")
        if option.name not in Platform._fields and given and given.name == "COMMANDLINE":
            command = context.invoked_subcommand
            names = "/".join([*option.opts, *option.secondary_opts])
            stop(f"{names}: applies to the list; see `{context.command_path} {command} --help`")


def show(
    listing: Listing,
    read: Callable[[], Iterable[Any]],
    limit: int,
    json: bool,
    watch: bool,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Print the first entries as a table or as JSON; with `watch`, again after every change until Ctrl-C."""

    def entries() -> list[Any]:
        return list(islice(read(), limit + 1))

    if not watch:
        _print(listing, entries(), limit, json)
    elif console.is_terminal and not json:
        with Live(console=console, auto_refresh=False) as live:
            _follow(entries, lambda found: live.update(_table(listing, found, limit), refresh=True), pause)
    else:
        _follow(entries, lambda found: _print(listing, found, limit, json), pause)


def _follow(
    read: Callable[[], list[Any]], update: Callable[[list[Any]], None], pause: Callable[[float], None]
) -> None:
    shown = None
    try:
        while True:
            found = read()
            if found != shown:
                update(found)
                shown = found
            pause(WATCH_S)
    except KeyboardInterrupt:
        return


def _print(listing: Listing, found: Sequence[Any], limit: int, json: bool) -> None:
    if json:
        entries = [asdict(each) for each in found[:limit]]
        print(dumps({listing.name: entries, "more": len(found) > limit}), flush=True)
        return
    print_whole(_table(listing, found, limit))


def _table(listing: Listing, found: Sequence[Any], limit: int) -> Table:
    rows = table(*listing.columns)
    for each in found[:limit]:
        rows.add_row(*(literal(cell(each)) for cell in listing.columns.values()))
    if len(found) > limit:
        rows.caption = f"The first {limit:,} {listing.name}; use --limit or a filter to see others."
        rows.caption_justify = "left"
    elif not found:
        rows.caption = f"No {listing.name}."
        rows.caption_justify = "left"
    return rows


def time_of(seconds: float | None) -> str:
    """Return a time in UTC, to the minute; "" for None."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}Z" if seconds else ""
