"""`anc logs`: the log of a platform on this machine, or of a deployment on AWS."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from heapq import merge
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import typer

from local.data_folder import require_platform
from local.logs import FOLDER, SUFFIX
from tools.cli.terminal import DEFAULT_DATA, Data, Json, console, literal, platform_errors, printable, stop

app = typer.Typer()
PANEL = "Platform and headsets"
LEVELS = ("debug", "info", "warning", "error", "critical")
Level = Literal["debug", "info", "warning", "error", "critical"]
COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
FOLLOW_S = 1.0
FOLLOW_AWS_S = 5.0  # a poll is a call for each function, of which an account has five a second
MAX_GROUPS = 50
MAX_SEEN = 100_000
LEFT_OUT = ("level", "location", "message", "timestamp", "service", "stack_trace")


class Line(NamedTuple):
    """A line of the log: its time in seconds since the epoch, its fields, and its text."""

    at: float
    fields: dict[str, Any]
    text: str

    @property
    def level(self) -> str:
        """The level in lower case; "info" for a line that is not JSON."""
        return str(self.fields.get("level", "info")).lower()


class LocalLog:
    """The files of a data folder, whose platform may run. Read from where the last read ended."""

    interval_s = FOLLOW_S

    def __init__(self, data: Path) -> None:
        require_platform(data)
        self._folder = data / FOLDER
        self._read: dict[Path, tuple[int, int]] = {}  # inode and position

    def new(self) -> Iterator[Line]:
        """Yield the lines since the last call, the oldest first; all in the first one."""
        if not self._read:
            return merge(*map(_of_file, self._folder.glob(f"*{SUFFIX}.*")), self._current(), key=_time)
        return self._current()

    def _current(self) -> Iterator[Line]:
        return iter(
            sorted((line for path in self._folder.glob(f"*{SUFFIX}") for line in self._of(path)), key=_time)
        )

    def _of(self, path: Path) -> Iterator[Line]:
        with suppress(FileNotFoundError), path.open("rb") as file:  # a rotation renames it
            number, position = self._read.get(path, (0, 0))
            inode = path.stat().st_ino
            if inode == number:
                file.seek(position)
            elif number:  # rotated: what is left is in the file before
                yield from _rest(path.with_name(path.name + ".1"), position)
            for raw in file:
                if not raw.endswith(b"\n"):  # being written
                    file.seek(-len(raw), 1)
                    break
                yield line_of(raw.decode(errors="replace"))
            self._read[path] = inode, file.tell()


class CloudWatchLog:
    """The log groups of a deployment, with the AWS credentials of the shell.

    Parameters
    ----------
    stacks : str
        Prefix of the stacks, such as `anc-dev`.
    logs : client of boto3
    since : float
        Seconds since the epoch.
    """

    interval_s = FOLLOW_AWS_S

    def __init__(self, stacks: str, logs: Any, since: float) -> None:
        self._logs = logs
        pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"{stacks}-")
        self._groups = [group["logGroupName"] for page in pages for group in page["logGroups"]][:MAX_GROUPS]
        self._since = dict.fromkeys(self._groups, int(1000 * since))
        self._seen: set[str] = set()
        if not self._groups:
            stop(f"--stacks {stacks}: no log group has a name that begins with {stacks}-")

    def new(self) -> Iterator[Line]:
        """Yield the lines since the last call, the oldest first."""
        return iter(sorted((line for group in self._groups for line in self._of(group)), key=_time))

    def _of(self, group: str) -> Iterator[Line]:
        begin = self._since[group]
        if len(self._seen) > MAX_SEEN:
            self._seen.clear()  # at worst, events of the last millisecond are printed twice
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=begin)
        for event in (event for page in pages for event in page["events"]):
            if event["eventId"] not in self._seen:
                self._seen.add(event["eventId"])
                self._since[group] = max(self._since[group], event["timestamp"])
                line = line_of(event["message"])
                yield line if line.fields else line._replace(at=event["timestamp"] / 1000)


@app.command(rich_help_panel=PANEL)
def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option(min=0, max=100_000, help="Number of earlier lines.")] = 100,
    level: Annotated[Level, typer.Option(help="Lowest level to print.")] = "info",
    minutes: Annotated[float, typer.Option(min=1, max=43_200, help="Age of the earliest line on AWS.")] = 60,
    stacks: Annotated[
        str | None, typer.Option(help="Prefix of the stacks of a deployment on AWS, such as anc-dev.")
    ] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Print the log of a platform, on this machine or on AWS.

    With --json, each line is printed as it was written, a JSON document.
    """
    with platform_errors():
        log = _on_aws(stacks, minutes) if stacks else LocalLog(data)
        show = _print_json if json else _print
        earlier = [*_from(level, log.new())]
        for line in earlier[len(earlier) - lines if lines < len(earlier) else 0 :]:
            show(line)
        with suppress(KeyboardInterrupt):
            while follow:
                time.sleep(log.interval_s)
                for line in _from(level, log.new()):
                    show(line)


def line_of(text: str) -> Line:
    """Return a line of text; one that is not a JSON document of the log has no fields."""
    text = text.rstrip("\r\n")
    with suppress(msgspec.DecodeError, ValueError, KeyError, TypeError):
        fields = msgspec.json.decode(text, type=dict[str, Any])
        if "record" in fields:
            fields = _of_lambda(fields)
        return Line(datetime.fromisoformat(fields["timestamp"]).timestamp(), fields, text)
    return Line(0.0, {}, text)


def _of_lambda(event: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an event that Lambda itself logs, such as the report of a call that timed out."""
    record = event["record"]
    status = record.get("status", "success")
    return {
        "level": "INFO" if status == "success" else "WARNING",
        "message": event["type"],
        "timestamp": event["time"],
        "service": "lambda",
        "status": status,
        "function_request_id": record.get("requestId", ""),
    }


def _on_aws(stacks: str, minutes: float) -> CloudWatchLog:
    import boto3  # noqa: PLC0415  slow
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        return CloudWatchLog(stacks, boto3.client("logs"), time.time() - 60 * minutes)
    except (BotoCoreError, ClientError) as fault:
        stop(f"--stacks {stacks}: {fault}")


def _from(level: Level, lines: Iterable[Line]) -> Iterator[Line]:
    lowest = LEVELS.index(level)
    return (line for line in lines if line.level not in LEVELS or LEVELS.index(line.level) >= lowest)


def _of_file(path: Path) -> list[Line]:
    return _rest(path, 0)


def _rest(path: Path, position: int) -> list[Line]:
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(position)
        return [line_of(raw.decode(errors="replace")) for raw in file]
    return []


_time: Callable[[Line], float] = lambda line: line.at  # noqa: E731  a key


def _print_json(line: Line) -> None:
    print(line.text, flush=True)


def _print(line: Line) -> None:
    if not line.fields:
        console.print(printable(line.text), markup=False, highlight=False, soft_wrap=True)
        return
    at = datetime.fromtimestamp(line.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    colour = COLOURS.get(str(line.fields.get("level")), "default")
    rest = " ".join(f"{name}={value}" for name, value in line.fields.items() if name not in LEFT_OUT)
    begin = f"{at} [{colour}]{literal(line.fields.get('level', ''))}[/{colour}] "
    text = f"{line.fields.get('service', '')}: {line.fields.get('message', '')} {rest}".rstrip()
    console.print(begin + literal(text), highlight=False, soft_wrap=True)
