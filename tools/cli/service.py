"""`anc service`: run the platform under systemd."""

import re
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from tools import service_unit
from tools.cli.terminal import DEFAULT_PORT, Json, Port, print_warning, stop
from tools.service_unit import InvalidService, Service

ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")

app = typer.Typer(no_args_is_help=True)

User = Annotated[bool, typer.Option("--user", help="For your own service manager, without root.")]
RunAs = Annotated[
    str, typer.Option(help="Account of a system service.", show_default="a dynamic one of systemd")
]
Folder = Annotated[
    Path | None, typer.Option(help="Data folder.", show_default="the state directory of systemd")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Name = Annotated[list[str] | None, typer.Option(help="Name of this machine for clients; repeatable.")]
Tls = Annotated[bool, typer.Option("--tls", help="Use TLS for REST and WebSocket.")]


@app.callback()
def service() -> None:
    """Run the platform under systemd."""


@app.command()
def show(
    user: User = False,
    run_as: RunAs = "",
    data: Folder = None,
    port: Port = DEFAULT_PORT,
    host: Host = None,
    name: Name = None,
    tls: Tls = False,
    json: Json = False,
) -> None:
    """Print the unit of systemd."""
    wanted = _service(user, run_as, data, port, host, name, tls)
    try:
        service_unit.check_reachable(wanted)
    except InvalidService as fault:
        print_warning(str(fault))
    text = _unit(wanted)
    print(dumps({"path": str(service_unit.unit_path(user)), "unit": text}) if json else text, end="\n" * json)


@app.command()
def install(
    user: User = False,
    run_as: RunAs = "",
    data: Folder = None,
    port: Port = DEFAULT_PORT,
    host: Host = None,
    name: Name = None,
    tls: Tls = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a unit with other content.")] = False,
    json: Json = False,
) -> None:
    """Write the unit of systemd. It is neither enabled nor started."""
    wanted = _service(user, run_as, data, port, host, name, tls)
    try:
        service_unit.check_reachable(wanted)
    except InvalidService as fault:
        stop(str(fault))
    text, path = _unit(wanted), service_unit.unit_path(user)
    if path.exists() and path.read_text() != text and not force:
        stop(f"{path}: exists with other content; compare it with `anc service show`, or pass --force")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)  # systemd warns about others; it holds no secrets
    systemctl = "systemctl --user" if user else "systemctl"
    following = [f"{systemctl} daemon-reload", f"{systemctl} enable --now anc"]
    if json:
        print(dumps({"path": str(path), "next": following}))
    else:
        print(f"Installed {path}. Start it with:")
        print("\n".join(f"    {command}" for command in following))


def _service(
    user: bool,
    run_as: str,
    data: Path | None,
    port: int,
    host: str | None,
    names: list[str] | None,
    tls: bool,
) -> Service:
    if run_as and user:
        stop("--run-as: does not go with --user, whose services run as you")
    if run_as and not ACCOUNT.fullmatch(run_as):
        stop(f"--run-as {run_as}: must be the name of an account: lower-case letters, digits, - and _")
    if data and not run_as and not user:
        stop("--data: requires --run-as with the account that owns the folder, or --user")
    options = ["--host", host] if host else []
    for each in names or ():
        options += ["--name", each]
    options += ["--tls"] if tls else []
    folder = data.absolute() if data else None
    return Service(service_unit.command_path(), user, run_as, folder, port, tuple(options))


def _unit(wanted: Service) -> str:
    try:
        return service_unit.unit(wanted)
    except InvalidService as fault:
        stop(str(fault))
