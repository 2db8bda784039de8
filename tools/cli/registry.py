"""`anc claim` and `anc rename`: commands about the headsets that the platform on this machine knows."""

from json import dumps
from typing import Annotated

import typer

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
def claim(
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    json: Annotated[bool, typer.Option("--json", help="No effect: the output is always JSON.")] = False,
) -> None:
    """Print a claim certificate for provisioning listed headsets."""
    from tools.cli.remote_headset import issue_claim

    print(issue_claim(data, port))


@app.command(rich_help_panel=PANEL)
def rename(
    thing: Annotated[str, typer.Argument(help="Name under which the headset is registered.")],
    name: Annotated[str, typer.Argument(help="New display name; an empty one removes it.")],
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Change the display name of a headset."""
    from anc_client import ApiError, Client
    from tools.cli.find_platform import find_platform

    with platform_errors():
        url, issuer = find_platform(port, data, settings())
        with Client(url, issuer.issue("demo", "operator")) as client:
            try:
                renamed = client.rename_device(thing, name)
            except ApiError as refusal:
                stop(str(refusal))
    if json:
        print(dumps({"thing": renamed.thing, "name": renamed.name}))
    else:
        print(
            f"{thing} is called {renamed.name} now." if renamed.name else f"{thing} has no display name now."
        )
