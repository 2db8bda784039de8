"""Shared by all commands: consoles, tables, error output and common options."""

import errno
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from typer.core import TyperGroup

from anc.schemas.refusal import Refused
from anc.settings import BadSetting, Settings
from local.configuration import LaunchSettings, unknown_names
from local.data_folder import UnusableFolder, default_folder, former_data

if TYPE_CHECKING:
    from local.auth.login_links import ConsoleLink

console, errors = Console(), Console(stderr=True)

Data = Annotated[
    Path,
    typer.Option(
        envvar="ANC_DATA",
        help="Data folder of the platform.",
        show_default="one per user, printed by `anc up`",
    ),
]
Port = Annotated[
    int,
    typer.Option(
        envvar="ANC_PORT", min=1, max=65_534, help="Port of REST and WebSocket; MQTT uses the next port."
    ),
]
StartedPort = Annotated[
    int | None,
    typer.Option(
        envvar="ANC_PORT",
        min=1,
        max=65_534,
        help="Port of REST and WebSocket; MQTT uses the next port.",
        show_default="at which the platform was started last",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DEFAULT_DATA = default_folder()
DEFAULT_PORT = 8080
TRAINING = (
    "training and evaluating the classifier require it:"
    " run `make .venv/train.stamp` in a checkout, or install the extra `train`"
)
PLOTS = "figures require it: run `make .venv/run.stamp` in a checkout, or install the extra `plots`"
MAX_WIDTH = 100_000  # characters of a table in a file or pipe


class HelpTable(Table):
    """A table of typer's help in which only types and descriptions wrap, the last two columns.

    Typer's own table shortens the names of options on a narrow terminal.
    """

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row, and columns as needed."""
        super().add_row(*cells, **options)
        for column in self.columns[:-2]:
            column.no_wrap = True


def table(*columns: str, numbers: bool = False, title: str | None = None) -> Table:
    """Return an empty table in the common style; `numbers` right-aligns all columns but the first."""
    rows = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for k, name in enumerate(columns):
        rows.add_column(name, justify="right" if numbers and k else "left")
    return rows


def print_whole(rows: Table) -> None:
    """Print a table. Outside a terminal it is as wide as its content, so that no line is wrapped."""
    wide = console.options.update(max_width=MAX_WIDTH)
    needed = console.measure(rows, options=wide).maximum
    target = console if console.is_terminal else Console(file=console.file, width=needed)
    target.print(rows, crop=False)


def progress_bar(json: bool) -> Progress:
    """Return a transient progress bar on stderr; disabled for JSON output and outside a terminal."""
    return Progress(console=errors, disable=json or not errors.is_terminal, transient=True)


def settings() -> Settings:
    """Return the settings from the environment, or stop with an error that names the invalid one.

    Prints a warning for each variable that looks like a setting and is none.
    """
    for warning in unknown_names(os.environ):
        print_warning(warning)
    try:
        LaunchSettings.from_env(os.environ)
        return Settings.from_env(os.environ)
    except BadSetting as fault:
        stop(str(fault))


def command_line(command: str, port: int, data: Path) -> str:
    """Return a shell command line that runs an `anc` command with a platform's port and data folder."""
    started_as = sys.argv[0]
    by_path = Path(started_as).name == "anc" and not shutil.which("anc")
    words = [started_as if by_path else "anc", command]
    if port != DEFAULT_PORT:
        words += ["--port", str(port)]
    if data.absolute() != DEFAULT_DATA:
        words += ["--data", str(data.absolute())]
    return shlex.join(words)


def print_notices(notices: Sequence[str], data: Path) -> None:
    """Print the start-up notices of a platform on stderr, one per line."""
    for notice in [*notices, *filter(None, [former_data(data)])]:
        print_warning(notice)


def print_warning(text: str) -> None:
    """Print a warning on stderr, on one line."""
    errors.print(f"[bold yellow]anc:[/] {literal(text)}", highlight=False, soft_wrap=True)


def announce(url: str, port: int, data: Path, link: "ConsoleLink | None") -> None:
    """Print the platform's addresses and a sign-in link to the console; as JSON without a link."""
    if link is None:
        socket = url.replace("http", "ws", 1) + "/ws"
        addresses = {"url": url, "socket": socket, "mqtt_port": port + 1, "data": str(data.absolute())}
        print(json.dumps(addresses), flush=True)
        return
    print(f"Platform running:   {url}  MQTT port {port + 1}", flush=True)
    print(f"Data folder:        {data.absolute()}", flush=True)
    link.show()
    new_link = command_line("console", port, data)
    print(f"                    (one use, valid for 10 minutes; new link: {new_link})", flush=True)


class FriendlyErrors(TyperGroup):
    """A command group that prints file, folder, package and input errors as one line, without traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; print help by `HelpTable`."""
        if not args or {"-h", "--help"} & set(args):
            from typer import rich_utils  # slow to import

            rich_utils.Table = HelpTable  # type: ignore[misc]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            advice = PLOTS if missing.name == "matplotlib" else TRAINING
            stop(f"the Python package {missing.name} is not installed; {advice}")
        except UnusableFolder as fault:
            stop(str(fault))
        except OSError as fault:
            if fault.errno in (errno.ENOSPC, errno.EDQUOT):
                stop("no space left on the disk; free some, or choose another folder")
            if fault.filename is None:
                raise
            stop(f"{fault.filename}: {fault.strerror}; check the name and your permissions")
        except Refused as refusal:
            stop(refusal.message)


def printable(text: str) -> str:
    """Return text without control characters, with which others could rewrite the terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def literal(value: object) -> str:
    """Return a value as text for a rich console, in which nothing is markup or a control character."""
    return escape(printable(str(value)))


def print_report_path(page: Path) -> None:
    """Print where a report was written."""
    console.print(f"Report: {page}", highlight=False, soft_wrap=True)


def print_error(reason: str) -> None:
    """Print an error on stderr, on one line."""
    errors.print(f"[bold red]anc:[/] {literal(reason)}", highlight=False, soft_wrap=True)


@contextmanager
def platform_errors() -> Iterator[None]:
    """Print errors that the user can fix as one line, without a traceback."""
    from local.listen_ports import NotServing, PortUnavailable
    from local.process import PlatformFailed

    try:
        yield
    except (BadSetting, PortUnavailable, NotServing, PlatformFailed) as fault:
        stop(str(fault))
    except Exception as fault:
        import httpx  # slow, and not needed without an error

        if not isinstance(fault, httpx.TransportError):
            raise
        stop(f"the platform stopped responding ({fault}); check that it is still running")


def stop(reason: str) -> NoReturn:
    """Print an error and exit with code 2."""
    print_error(reason)
    raise typer.Exit(2)
