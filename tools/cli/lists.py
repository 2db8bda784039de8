"""`anc emergencies`, `anc jobs` and `anc users`: lists of what a platform has stored."""

import time
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
from tools.cli.terminal import DEFAULT_DATA, Data, Json, StartedPort, stop

app = typer.Typer()
PANEL = "Platform and headsets"
HOUR_S = 3600.0
EMERGENCIES = Listing(
    "emergencies",
    {
        "time": lambda each: time_of(each.at),
        "kind": lambda each: each.kind,
        "headset or session": lambda each: each.source,
        "confidence": lambda each: f"{each.score:.0%}",
        "acknowledged": lambda each: time_of(each.acknowledged_at),
        "by": lambda each: each.acknowledged_by or "",
        "comment": lambda each: " ".join(each.comment.split()),
    },
)
JOBS = Listing(
    "jobs",
    {
        "job": lambda each: each.job,
        "recording": lambda each: each.name,
        "state": lambda each: each.state,
        "progress": lambda each: f"{each.progress:.0%}",
        "MB": lambda each: f"{each.size / 1e6:.1f}",
        "created": lambda each: time_of(each.created),
        "failure": lambda each: each.failure,
    },
)
USERS = Listing(
    "users",
    {
        "name": lambda each: each.name,
        "role": lambda each: each.role,
        "created": lambda each: time_of(each.created),
        "id": lambda each: each.user,
    },
)


@app.command(rich_help_panel=PANEL)
def emergencies(
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    kind: Annotated[
        Literal["siren", "horn", "alarm"] | None, typer.Option(rich_help_panel=FILTER, help="Kind of sound.")
    ] = None,
    headset: Annotated[
        str | None, typer.Option(rich_help_panel=FILTER, help="Headset or session; of any owner.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option(rich_help_panel=FILTER, help="Id of the owner.", show_default="you")
    ] = None,
    all_owners: Annotated[
        bool, typer.Option("--all-owners", rich_help_panel=FILTER, help="Emergencies of all owners.")
    ] = False,
    hours: Annotated[
        float | None, typer.Option(min=0.01, max=2160, rich_help_panel=FILTER, help="Within hours.")
    ] = None,
    acknowledged: Annotated[
        bool | None,
        typer.Option("--acknowledged/--open", rich_help_panel=FILTER, help="Acknowledged or not."),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """List emergencies, the newest first."""
    conditions = {
        "kind": kind,
        "source": headset,
        "owner": owner,
        "all_owners": "true" if all_owners else None,
        "since": None if hours is None else time.time() - hours * HOUR_S,
        "acknowledged": None if acknowledged is None else str(acknowledged).lower(),
    }
    given = {key: value for key, value in conditions.items() if value is not None}
    with connected(Platform(port, data, url, token), "operator") as client:
        show(EMERGENCIES, lambda: client.emergencies(sort="-at", **given), limit, json, watch)


@app.command(rich_help_panel=PANEL)
def jobs(
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    user: Annotated[
        str | None, typer.Option(help="User on this machine; not with --url.", show_default="demo")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """List recordings with state and progress, the newest first."""
    if url and user:
        stop("--user: not with --url, where the token names the user")
    with connected(Platform(port, data, url, token), "listener", user or "demo") as client:
        show(JOBS, lambda: sorted(client.jobs(), key=lambda job: -job.created), limit, json, watch)


@app.command(rich_help_panel=PANEL)
def users(
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    limit: Limit = DEFAULT_LIMIT,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """List the users and their roles."""
    with connected(Platform(port, data, url, token), "admin") as client:
        show(USERS, client.users, limit, json, watch)
