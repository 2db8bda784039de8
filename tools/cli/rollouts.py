"""`anc rollouts`: roll out firmware or configuration in stages, list rollouts and change them."""

import hashlib
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

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
from tools.cli.terminal import DEFAULT_DATA, Data, Json, StartedPort, console, literal, stop, table

if TYPE_CHECKING:
    from anc_client.schemas import Rollout

app = typer.Typer(invoke_without_command=True)
CONTENT = "What to roll out"
STAGES = "Stages"
Id = Annotated[str, typer.Argument(help="Id of the rollout, as in the list.")]


def _what(rollout: "Rollout") -> str:
    if rollout.firmware:
        return rollout.firmware.version
    given = asdict(rollout.config) if rollout.config else {}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def _change(rollout: "Rollout") -> str:
    if rollout.updated_change_db is None:
        return ""
    others = "" if rollout.other_change_db is None else f" ({rollout.other_change_db:+.1f} others)"
    return f"{rollout.updated_change_db:+.1f}{others}"


def _failed(rollout: "Rollout") -> int:
    counts = rollout.counts
    return (counts.failed or 0) + (counts.rejected or 0) + (counts.timed_out or 0)


ROLLOUTS = Listing(
    "rollouts",
    {
        "id": lambda each: each.id,
        "name": lambda each: each.name,
        "content": _what,
        "state": lambda each: f"{each.state} ({each.stage})" if each.state == "active" else each.state,
        "updated": lambda each: f"{each.counts.succeeded:,} of {each.headsets:,}",
        "failed": lambda each: f"{_failed(each):,}",
        "attenuation dB": _change,
        "created": lambda each: time_of(each.created),
        "by": lambda each: each.created_by,
        "reason": lambda each: each.reason,
    },
)


@app.callback()
def rollouts(
    context: typer.Context,
    port: StartedPort = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    token: Token = None,
    limit: Limit = DEFAULT_LIMIT,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """List rollouts of firmware and settings, or change one."""
    context.obj = Platform(port, data, url, token)
    if context.invoked_subcommand is not None:
        refuse_list_options(context)
        return
    with connected(context.obj, "operator") as client:
        show(ROLLOUTS, client.rollouts, limit, json, watch)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the rollout.")],
    firmware: Annotated[
        str | None, typer.Option(rich_help_panel=CONTENT, help="Version of the firmware, such as 1.5.0.")
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=CONTENT, help="Its image, for hash and size.", exists=True, dir_okay=False
        ),
    ] = None,
    image_url: Annotated[
        str | None, typer.Option(rich_help_panel=CONTENT, help="Where headsets download it.")
    ] = None,
    snapshot_interval: Annotated[
        float | None, typer.Option(rich_help_panel=CONTENT, help="Seconds between snapshots.")
    ] = None,
    telemetry_interval: Annotated[
        float | None, typer.Option(rich_help_panel=CONTENT, help="Seconds between telemetry reports.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", rich_help_panel=CONTENT, help="Send statistics instead of sound.")
    ] = False,
    prefix: Annotated[str, typer.Option(rich_help_panel=FILTER, help="Beginning of the name.")] = "",
    tag: Annotated[str, typer.Option(rich_help_panel=FILTER, help="One of its tags.")] = "",
    owner: Annotated[str, typer.Option(rich_help_panel=FILTER, help="Id of the owner.")] = "",
    model: Annotated[str, typer.Option(rich_help_panel=FILTER, help="Model.")] = "",
    running: Annotated[str, typer.Option(rich_help_panel=FILTER, help="Running firmware version.")] = "",
    noise: Annotated[str, typer.Option(rich_help_panel=FILTER, help="Label of the noise.")] = "",
    online: Online = None,
    below: Below = None,
    refused_hours: RefusedHours = None,
    reverted_hours: RevertedHours = None,
    canary: Annotated[
        float, typer.Option(rich_help_panel=STAGES, help="Percentage that gets it first.")
    ] = 5.0,
    soak: Annotated[
        float, typer.Option(rich_help_panel=STAGES, help="Minutes before the others get it.")
    ] = 60.0,
    per_minute: Annotated[
        int, typer.Option(rich_help_panel=STAGES, help="Most headsets to start in a minute.")
    ] = 100,
    max_failed: Annotated[
        float, typer.Option(rich_help_panel=STAGES, help="Stop when a higher percentage fails.")
    ] = 5.0,
    max_drop: Annotated[
        float, typer.Option(rich_help_panel=STAGES, help="Stop when attenuation falls by more dB.")
    ] = 2.0,
    json: Json = False,
) -> None:
    """Roll out firmware or configuration in stages."""
    from anc_client.schemas import HeadsetConfig, NewFirmware, NewRollout, RolloutQuery

    new_firmware = config = None
    if firmware or image or image_url:
        if not (firmware and image and image_url):
            stop("--firmware: requires --image and --image-url as well")
        content = image.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        new_firmware = NewFirmware(version=firmware, url=image_url, sha256=digest, size=len(content))
    if snapshot_interval or telemetry_interval or private:
        config = HeadsetConfig(
            snapshot_interval_s=snapshot_interval,
            telemetry_interval_s=telemetry_interval,
            private=private or None,
        )
    with connected(context.obj, "operator") as client:
        made = client.create_rollout(
            NewRollout(
                name=name,
                firmware=new_firmware,
                config=config,
                query=RolloutQuery(
                    prefix=prefix,
                    tag=tag,
                    owner=owner,
                    model=model,
                    firmware=running,
                    noise=noise,
                    online=online,
                    attenuation_below=below,
                    refused_hours=refused_hours,
                    reverted_hours=reverted_hours,
                ),
                canary_percent=canary,
                soak_minutes=soak,
                per_minute=per_minute,
                max_failed_percent=max_failed,
                max_drop_db=max_drop,
            )
        )
    _print(made, json)


@app.command()
def pause(context: typer.Context, id: Id, json: Json = False) -> None:
    """Start no further headset; those that were started go on, and the rollout is still watched."""
    _act(context, id, "pause", json)


@app.command()
def resume(context: typer.Context, id: Id, json: Json = False) -> None:
    """Go on with a paused rollout."""
    _act(context, id, "resume", json)


@app.command()
def cancel(context: typer.Context, id: Id, json: Json = False) -> None:
    """End a rollout; headsets that have finished keep what they got."""
    _act(context, id, "cancel", json)


def _act(context: typer.Context, id: str, action: Literal["pause", "resume", "cancel"], json: bool) -> None:
    with connected(context.obj, "operator") as client:
        changed = client.change_rollout(id, action)
    _print(changed, json)


def _print(rollout: "Rollout", json: bool) -> None:
    if json:
        print(dumps(asdict(rollout)), flush=True)
        return
    rows: Any = table("rollout", rollout.id)
    for name, cell in list(ROLLOUTS.columns.items())[1:]:
        rows.add_row(name, literal(cell(rollout)))
    console.print(rows)
