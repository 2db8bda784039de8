"""`anc devices`: list the headsets of a platform."""

from typing import Annotated, Literal

import typer

from tools.cli.listing import (
    DEFAULT_LIMIT,
    FILTER,
    Limit,
    Listing,
    Platform,
    Token,
    Url,
    Watch,
    connected,
    show,
    time_of,
)
from tools.cli.terminal import DEFAULT_DATA, DEFAULT_PORT, Data, Json, Port

app = typer.Typer()
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


@app.command(rich_help_panel="Platform and headsets")
def devices(
    port: Port = DEFAULT_PORT,
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
    limit: Limit = DEFAULT_LIMIT,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """List headsets of all owners, or search them."""
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
    with connected(Platform(port, data, url, token), "operator") as client:
        show(HEADSETS, lambda: client.fleet(**given), limit, json, watch)
