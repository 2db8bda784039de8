"""`anc devices`: list the headsets of a platform, change their tags, and remove headsets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from json import dumps
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.prompt import Confirm

from anc.fleet_records import MAX_BULK
from tools.cli.listing import (
    DEFAULT_LIMIT,
    FILTER,
    Below,
    Limit,
    Listing,
    Online,
    Platform,
    RefusedHours,
    RevertedHours,
    Token,
    Url,
    Watch,
    connected,
    refuse_list_options,
    show,
    time_of,
)
from tools.cli.terminal import (
    DEFAULT_DATA,
    Data,
    Json,
    StartedPort,
    errors,
    literal,
    print_whole,
    stop,
    table,
)

if TYPE_CHECKING:
    from anc_client import Client
    from anc_client.schemas import DeviceOutcome

app = typer.Typer(invoke_without_command=True)
Things = Annotated[list[str], typer.Argument(metavar="HEADSET", help="Ids of headsets, as in the list.")]
SortKey = Literal["attenuation_db", "-attenuation_db", "refused_at", "-refused_at"]
HEADSETS = Listing(
    "headsets",
    {
        "headset": lambda each: each.thing,
        "name": lambda each: each.name or "",
        "tags": lambda each: " ".join(each.tags),
        "owner": lambda each: each.owner or "",
        "model": lambda each: each.model or "",
        "online": lambda each: {True: "yes", False: "no", None: "never"}[each.online],
        "firmware": lambda each: each.firmware or "",
        "noise": lambda each: each.noise or "",
        "dB": lambda each: "" if each.attenuation_db is None else f"{each.attenuation_db:.1f}",
        "reverted": lambda each: str(each.reverted or ""),
        "refused": lambda each: str(each.refused or ""),
        "last refusal": lambda each: time_of(each.refused_at),
    },
)


@app.callback()
def devices(
    context: typer.Context,
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    name: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="Beginning of the name.")] = None,
    tag: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="One of its tags.")] = None,
    owner: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="Id of the owner.")] = None,
    model: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="Model.")] = None,
    firmware: Annotated[
        str | None, typer.Option(rich_help_panel=FILTER, help="Running firmware version.")
    ] = None,
    noise: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="Label of the noise.")] = None,
    online: Online = None,
    below: Below = None,
    refused_hours: RefusedHours = None,
    reverted_hours: RevertedHours = None,
    sort: Annotated[SortKey | None, typer.Option(help="Order; a hyphen means descending.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """List, search, tag or remove headsets of all owners."""
    context.obj = Platform(port, data, url, token)
    if context.invoked_subcommand is not None:
        refuse_list_options(context)
        return
    conditions = {
        "name": name,
        "tag": tag,
        "owner": owner,
        "model": model,
        "firmware": firmware,
        "noise": noise,
        "online": None if online is None else str(online).lower(),
        "attenuation_below": below,
        "refused_hours": refused_hours,
        "reverted_hours": reverted_hours,
        "sort": sort,
    }
    given = {key: value for key, value in conditions.items() if value is not None}
    with connected(context.obj, "operator") as client:
        show(HEADSETS, lambda: client.fleet(**given), limit, json, watch)


@app.command()
def tag(
    context: typer.Context,
    headsets: Things,
    add: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag to add; can be repeated.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Tag to take away; can be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Add tags to headsets, and take tags away."""
    if not add and not remove:
        stop("tag: requires --add or --remove")

    def change(client: "Client", things: Sequence[str]) -> "Sequence[DeviceOutcome]":
        return client.change_tags(things, add or [], remove or [])

    _change_each(context, headsets, change, "changed", json)


@app.command()
def remove(
    context: typer.Context,
    headsets: Things,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    json: Json = False,
) -> None:
    """Remove headsets, with everything that is stored about them."""
    count = len({*headsets})
    question = (
        f"Remove {count:,} {'headset' if count == 1 else 'headsets'}? Their certificates are revoked, and"
        " everything that is stored about them is deleted. This cannot be undone."
    )
    if not yes and not _is_confirmed(question):
        stop("remove: not confirmed, so no headset was removed; --yes removes without asking")

    def change(client: "Client", things: Sequence[str]) -> "Sequence[DeviceOutcome]":
        return client.remove_devices(things)

    _change_each(context, headsets, change, "removed", json)


def _is_confirmed(question: str) -> bool:
    try:
        return Confirm.ask(question, console=errors, default=False)  # typer.confirm writes to stdout as well
    except (EOFError, KeyboardInterrupt):
        errors.print()
        return False


def _change_each(
    context: typer.Context,
    things: Sequence[str],
    change: "Callable[[Client, Sequence[str]], Sequence[DeviceOutcome]]",
    verb: str,
    json: bool,
) -> None:
    """Change headsets, print the outcome of each, and exit with code 1 if one was refused."""
    outcomes: list[DeviceOutcome] = []
    distinct = list(dict.fromkeys(things))
    try:
        with connected(context.obj, "operator") as client:
            for begin in range(0, len(distinct), MAX_BULK):
                outcomes += _repeated(client, distinct[begin : begin + MAX_BULK], change)
    finally:
        # Also if a later request fails: the user has to know what was done.
        if outcomes:
            _print_outcomes(outcomes, verb, json)
    if any(each.problem for each in outcomes):
        raise typer.Exit(1)


def _repeated(
    client: "Client",
    things: Sequence[str],
    change: "Callable[[Client, Sequence[str]], Sequence[DeviceOutcome]]",
) -> "Iterator[DeviceOutcome]":
    """Yield the outcome for each headset; repeat the request for those that it had no time for."""
    left = things
    while left:
        found = change(client, left)
        again = [each.thing for each in found if each.problem and each.problem.code == "unavailable"]
        if len(again) == len(left):
            again = []
        yield from (each for each in found if each.thing not in again)
        left = again


def _print_outcomes(outcomes: "Sequence[DeviceOutcome]", verb: str, json: bool) -> None:
    if json:
        print(dumps({"outcomes": [asdict(each) for each in outcomes]}), flush=True)
        return
    rows = table("headset", "outcome", "tags", "reason")
    for each in outcomes:
        outcome = "refused" if each.problem else verb if each.changed else "unchanged"
        reason = each.problem.detail if each.problem else ""
        rows.add_row(literal(each.thing), outcome, " ".join(each.tags or []), literal(reason))
    print_whole(rows)
