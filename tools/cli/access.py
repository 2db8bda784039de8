"""`anc token` and `anc console`: sign in to the platform on this machine."""

import re
import webbrowser
from json import dumps
from typing import Annotated

import typer

from anc.lifetimes import MAX_TOKEN_HOURS
from anc.services.access.identity import Role
from local.data_folder import require_platform
from tools.cli.terminal import (
    DEFAULT_DATA,
    Data,
    Json,
    StartedPort,
    platform_errors,
    settings,
    stop,
)

app = typer.Typer()
PANEL = "Platform and headsets"


@app.command(rich_help_panel=PANEL)
def token(
    data: Data = DEFAULT_DATA,
    role: Annotated[Role, typer.Option(help="Role of the user.")] = "listener",
    user: Annotated[str, typer.Option(help="Name of the user.")] = "demo",
    hours: Annotated[
        float,
        typer.Option(min=0.01, max=MAX_TOKEN_HOURS, help="Lifetime in hours."),
    ] = MAX_TOKEN_HOURS,
    json: Json = False,
) -> None:
    """Print a bearer token for the platform on this machine."""
    from anc.patterns import USER_NAME
    from local.auth.issuer import Issuer

    if not re.fullmatch(USER_NAME, user):
        stop(f"--user {user}: must be 1 to 128 letters, digits or any of ._@+-")
    require_platform(data)
    bearer = Issuer(data, settings()).issue(user, role, hours)
    print(dumps({"token": bearer, "user": user, "role": role, "hours": hours}) if json else bearer)


@app.command(name="console", rich_help_panel=PANEL)
def show_console(
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    role: Annotated[Role, typer.Option(help="Role of the session.")] = "admin",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser instead of printing it.")
    ] = False,
    json: Json = False,
) -> None:
    """Print a link that signs in to the console once."""
    from local.auth.login_links import LoginLinks, console_address
    from tools.cli.find_platform import find_platform

    with platform_errors():
        url, issuer = find_platform(port, data, settings())
    address = console_address(url, LoginLinks(data, issuer).make("demo", role))
    if json:
        print(dumps({"url": address}))
    elif not open_browser:
        print(address)
    elif not webbrowser.open(address):
        stop("--open: no browser found on this machine; run without --open and open the link elsewhere")
