"""`anc devices`: list the headsets of a platform."""

from datetime import UTC, datetime
from itertools import islice
from json import dumps
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tools.cli.terminal import (
    DEFAULT_DATA,
    DEFAULT_PORT,
    Data,
    Json,
    Port,
    console,
    print_whole,
    settings,
    stop,
    table,
)

if TYPE_CHECKING:
    from anc_client.schemas import FleetHeadset

app = typer.Typer()
SortKey = Literal["attenuation_db", "-attenuation_db", "refused_at", "-refused_at"]
FILTER = "Filters"


@app.command(rich_help_panel="Platform and headsets")
def devices(
    port: Port = DEFAULT_PORT,
    data: Data = DEFAULT_DATA,
    url: Annotated[str | None, typer.Option(help="REST API of another platform.")] = None,
    token: Annotated[str | None, typer.Option(envvar="ANC_TOKEN", help="Bearer token for --url.")] = None,
    name: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="Beginning of the name.")] = None,
    owner: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="Id of the owner.")] = None,
    model: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="Model.")] = None,
    firmware: Annotated[
        str | None, typer.Option(rich_help_panel=FILTER, help="Running firmware version.")
    ] = None,
    noise: Annotated[str | None, typer.Option(rich_help_panel=FILTER, help="Label of the noise.")] = None,
    online: Annotated[
        bool | None, typer.Option("--online/--offline", rich_help_panel=FILTER, help="Connected or not.")
    ] = None,
    below: Annotated[
        float | None,
        typer.Option(min=-100, max=100, rich_help_panel=FILTER, help="Attenuation below this, in dB."),
    ] = None,
    refused_hours: Annotated[
        float | None,
        typer.Option(min=0.01, max=720, rich_help_panel=FILTER, help="A message refused within hours."),
    ] = None,
    reverted_hours: Annotated[
        float | None,
        typer.Option(min=0.01, max=720, rich_help_panel=FILTER, help="A filter reverted within hours."),
    ] = None,
    sort: Annotated[SortKey | None, typer.Option(help="Order; a hyphen means descending.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Number of headsets to show.")] = 50,
    json: Json = False,
) -> None:
    """List headsets of all owners, or search them."""
    import httpx

    from anc_client import ApiError, Client
    from local.listen_ports import NotServing
    from tools.cli.find_platform import find_platform

    conditions = {
        "name": name,
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
    try:
        if url is None:
            url, issuer = find_platform(port, data, settings())
            token = issuer.issue("demo", "operator")
        elif not token:
            stop("--url: requires --token, or ANC_TOKEN in the environment")
        with Client(url, token or "") as client:
            given = {key: value for key, value in conditions.items() if value is not None}
            found = list(islice(client.fleet(**given), limit + 1))
    except (NotServing, ApiError) as fault:
        stop(str(fault))
    except httpx.TransportError as fault:
        stop(f"{url}: {fault}")
    show(found, limit, json)


def show(found: "list[FleetHeadset]", limit: int, json: bool) -> None:
    """Print headsets as a table, or as JSON."""
    from dataclasses import asdict

    shown = found[:limit]
    if json:
        headsets = [asdict(each) for each in shown]
        print(dumps({"headsets": headsets, "more": len(found) > limit}))
        return
    rows = table(
        "headset",
        "owner",
        "model",
        "online",
        "firmware",
        "noise",
        "dB",
        "reverted",
        "refused",
        "last refusal",
    )
    for each in shown:
        rows.add_row(
            each.thing,
            each.owner or "",
            each.model or "",
            {True: "yes", False: "no", None: "never"}[each.online],
            each.firmware or "",
            each.noise or "",
            "" if each.attenuation_db is None else f"{each.attenuation_db:.1f}",
            str(each.reverted or ""),
            str(each.refused or ""),
            time_of(each.refused_at),
        )
    print_whole(rows)
    if len(found) > limit:
        console.print(f"The first {limit:,}; use --limit or a filter to see others.")


def time_of(seconds: float | None) -> str:
    """Return a time in UTC, to the minute; "" for None."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}Z" if seconds else ""
