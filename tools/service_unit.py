"""The systemd unit of the platform, as `anc service` prints and installs it."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

UNIT = "anc.service"
SYSTEM_FOLDER = Path("/etc/systemd/system")
SYSTEM_SETTINGS = "/etc/anc/anc.env"
UNREACHABLE = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  hidden from the service
PRIVILEGED_PORTS = 1024
DEFAULT_PORT = 8080

# Also for the manager of a user, which must not need namespaces: some systems forbid them to users.
COMMON = """
# Privileges
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
UMask=0077
"""
SYSTEM_ONLY = """
# Files and devices: the service writes to its state directory only
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
"""


class InvalidService(ValueError):
    """Raised when a service would not work; the message says why and what to do."""


class Service(NamedTuple):
    """What a unit runs, and as whom.

    Attributes
    ----------
    command : str
        Path of the `anc` command.
    user : bool
        Whether the unit is for the service manager of the current user.
    run_as : str
        Name of the account of a system service; "" for a dynamic one.
    data : Path or None
        Data folder; None for the state directory of systemd.
    port : int
    options : tuple of str
        Further options of `anc up`.
    """

    command: str
    user: bool = False
    run_as: str = ""
    data: Path | None = None
    port: int = DEFAULT_PORT
    options: tuple[str, ...] = ()


def command_path() -> str:
    """Return the path of the `anc` command of this installation."""
    return str(Path(sys.executable).absolute().with_name("anc"))


def unit_path(user: bool) -> Path:
    """Return where the unit is installed."""
    if not user:
        return SYSTEM_FOLDER / UNIT
    return _config_folder() / "systemd" / "user" / UNIT


def unit(service: Service) -> str:
    """Return the text of the unit.

    Raises
    ------
    InvalidService
        When a value cannot be written to a unit.
    """
    state = "%h/.local/state/anc" if service.user else "%S/anc"
    data = str(service.data) if service.data else state
    port = ["--port", str(service.port)] if service.port != DEFAULT_PORT else []  # else from the settings
    words = ["up", "--json", *port, "--data", data, *service.options]
    start = " ".join(
        [_quoted(service.command), *(word if word == state else _quoted(word) for word in words)]
    )
    journal = "journalctl --user -u anc" if service.user else "journalctl -u anc"
    settings = "%E/anc/anc.env" if service.user else SYSTEM_SETTINGS
    after = "" if service.user else "\nAfter=network-online.target\nWants=network-online.target"
    return f"""# Made by `anc service`. Output goes to the journal, which limits its size: {journal}
[Unit]
Description=ANC Platform{after}
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart={start}
# Settings, one NAME=value per line. Secrets: LoadCredential=NAME:FILE in a drop-in
EnvironmentFile=-{settings}
{_identity(service, data)}Restart=always
RestartSec=2
# An invalid setting or a used port: starting again would not help
RestartPreventExitStatus=2
TimeoutStopSec=60
LimitNOFILE=16384
StandardOutput=journal
StandardError=journal
{COMMON}{"" if service.user else _capabilities(service.port) + SYSTEM_ONLY}
[Install]
WantedBy={"default.target" if service.user else "multi-user.target"}
"""


def check_reachable(service: Service) -> None:
    """Raise InvalidService if a system service could not run the command or use the data folder."""
    if service.user:
        return
    for what, path in (("the command", Path(service.command)), ("--data", service.data)):
        if path and any(path.absolute().is_relative_to(folder) for folder in UNREACHABLE):
            raise InvalidService(
                f"{what} {path}: a system service cannot reach folders of users and temporary ones; install"
                " the platform elsewhere, such as /opt/anc, choose another --data, or use --user"
            )


def _identity(service: Service, data: str) -> str:
    if service.user:
        return "WorkingDirectory=/\n"
    who = f"User={_quoted(service.run_as)}\n" if service.run_as else "DynamicUser=yes\n"
    where = (
        f"ReadWritePaths={_quoted(data)}\n"
        if service.data
        else "StateDirectory=anc\nStateDirectoryMode=0700\n"
    )
    working = _escaped(data) if service.data else data  # takes no quotes
    return f"{who}{where}WorkingDirectory={working}\n"


def _capabilities(port: int) -> str:
    if port >= PRIVILEGED_PORTS:
        return "CapabilityBoundingSet=\nAmbientCapabilities=\n"
    only = "CAP_NET_BIND_SERVICE"
    return f"# For ports below {PRIVILEGED_PORTS}\nCapabilityBoundingSet={only}\nAmbientCapabilities={only}\n"


def _quoted(word: str) -> str:
    """Return a word for a unit: systemd expands % and $, and splits at spaces."""
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"' if set(escaped) & set(" \t\\\"';") else escaped


def _escaped(word: str) -> str:
    if not word.isprintable():
        raise InvalidService(f"{word!r}: must not contain control characters")
    return word.replace("%", "%%")


def _config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
