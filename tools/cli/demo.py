"""A headset in noise against the platform, as people watch it: in the terminal, or as one JSON object."""

import contextlib
import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from anc.ports import Credentials
from anc.schemas.websocket import SUBPROTOCOL
from anc_client import ApiError, Client, NewDevice
from iot.status import Status
from local.auth.issuer import Issuer
from local.auth.login_links import ConsoleLink
from local.data_folder import UnusableFolder, folder_lock, make_private
from local.process import START_S, STOP_S, PlatformFailed
from simulation.acoustic_plant import AcousticPlant
from simulation.headset import SimulationResult, StatusUpdate, run_headset
from simulation.path_measurement import StimulusKind
from simulation.scenes import Noise
from tools.cli.terminal import table
from tools.report.level_plot import plot_levels
from tools.report.raster import png

HISTORY = 60
SILENCE_DBFS, QUIET_DBFS, LOUD_DBFS = -120.0, -80.0, -10.0
BAR = 40
COLUMNS = 80
USER = "demo"
THING = re.compile("[A-Za-z0-9:_-]{1,128}")  # as AWS IoT takes them


def register(url: str, token: str, thing: str, head: AcousticPlant, folder: Path) -> Credentials:
    """Return the headset's credentials from its folder, or register it and keep them there.

    Raises
    ------
    PlatformFailed
        When the platform refuses to register it.
    """
    kept = folder / "credentials.json"
    device = NewDevice(thing=thing, rate=head.rate, secondary=head.measured_secondary().tolist())
    try:
        with Client(url, token, timeout_s=START_S) as client:
            if kept.exists() and _is_registered(client, thing):
                return _read_credentials(kept)._replace(port=mqtt_port(url))  # it may have moved since
            credentials = asdict(client.register(device).credentials)
    except ApiError as refusal:
        raise PlatformFailed(f"{thing} was not registered: {refusal.detail}") from refusal
    with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(credentials, file)
    return Credentials(**credentials)


def mqtt_port(url: str) -> int:
    """Return where MQTT is, on the port after that of REST."""
    return (urlsplit(url).port or 80) + 1


def _read_credentials(file: Path) -> Credentials:
    try:
        return Credentials(**json.loads(file.read_text()))
    except (TypeError, ValueError) as fault:
        raise UnusableFolder(f"{file}: damaged; delete it, and the headset in the console") from fault


def _is_registered(client: Client, thing: str) -> bool:
    try:
        client.device(thing)
    except ApiError as refusal:
        if refusal.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


class Watcher:
    """What the platform tells a client that watches the headset over the WebSocket."""

    def __init__(self, url: str, token: str, thing: str) -> None:
        self.news: dict[str, Any] = {}
        socket = url.replace("http", "ws", 1) + "/ws"
        protocols = [SUBPROTOCOL, token]
        self._socket = connect(
            socket,
            subprotocols=protocols,  # type: ignore[arg-type]
            open_timeout=START_S,
            compression=None,
            proxy=None,
        )
        self._socket.send(json.dumps({"action": "watch", "device": thing}))
        self._thread = threading.Thread(target=self._listen, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        self._thread.join(STOP_S)

    def told(self, status: Status) -> tuple[str, str]:
        """Return what the platform hears, and which filter it sent."""
        noise = self.news.get("noise")
        heard = f"{noise['label']} ({noise['confidence']:.0%})" if noise else "nothing yet"
        gain = self.news.get("predicted_gain_db")
        return heard, f"{self.news['filter']}, {gain:.1f} dB predicted" if gain is not None else "none yet"

    def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for frame in self._socket:
                message = json.loads(frame)
                if message["type"] == "device":
                    self.news = message


def demonstrate(
    url: str,
    data: Path,
    issuer: Issuer,
    scene: Noise,
    name: str,
    seconds: float,
    console: Console | None,
    thing: str = "demo-headset",
    measure: StimulusKind | None = None,
    link: ConsoleLink | None = None,
) -> SimulationResult:
    """Register a headset, put it into a noise, and show what happens.

    Parameters
    ----------
    url : str
        Of a platform that runs on this machine's `data`.
    issuer : Issuer
        Of that platform.
    scene, name : Scene, str
        The noise and what to call it.
    seconds : float
        Infinite: until interrupted.
    console : Console or None
        None shows nothing.
    measure : str or None
        As in `simulation.headset.run_headset`.
    link : ConsoleLink, optional
        Shown again on a terminal when it has been used.

    Raises
    ------
    FolderInUse
        The headset of that name runs already.
    PlatformFailed
    """
    head = AcousticPlant()
    token = issuer.issue(USER, "operator")
    with headset_folder(data, thing) as folder:
        credentials = register(url, token, thing, head, folder)
        watcher = Watcher(url, token, thing)
        try:
            return watch(
                View(thing, name, watcher.told),
                console,
                lambda show: run_headset(
                    thing, credentials, head, scene, seconds, folder, show, measure=measure
                ),
                link,
            )
        finally:
            watcher.close()


@contextlib.contextmanager
def headset_folder(data: Path, thing: str) -> Iterator[Path]:
    """Give the folder of a simulated headset, to one process at a time.

    Raises
    ------
    UnusableFolder
    """
    if not THING.fullmatch(thing):
        raise UnusableFolder(f"--thing {thing}: a name has 1 to 128 letters, digits, colons, _ or -")
    folder = data / "headsets" / thing
    make_private(folder)
    with folder_lock(folder, "a headset of this name", "end it, or name this one with --thing"):
        yield folder


def watch(
    view: "View",
    console: Console | None,
    run: Callable[[Callable[[StatusUpdate], None]], SimulationResult],
    link: ConsoleLink | None = None,
) -> SimulationResult:
    """Show a headset's run: live on a terminal, else a line a second, or nothing without a console."""
    if console is None:
        return run(lambda update: None)
    if not console.is_terminal:
        return run(lambda update: console.print(view.line(update), soft_wrap=True, highlight=False))
    with Live(console=console, auto_refresh=False) as live:

        def show(update: StatusUpdate) -> None:
            if link:
                link.show()
            live.update(view.draw(update), refresh=True)

        return run(show)


class View:
    """The live view, in 80 columns.

    Parameters
    ----------
    thing, noise : str
        What to call them.
    told : callable
        `told(status)`: what the platform hears and which filter it sent, in words.
    where : str
        What stands below, or "".
    """

    def __init__(
        self, thing: str, noise: str, told: Callable[[Status], tuple[str, str]], where: str = ""
    ) -> None:
        self._thing, self._noise = thing, noise
        self._told, self._where = told, where
        self._history: deque[float] = deque(maxlen=HISTORY)

    def line(self, update: StatusUpdate) -> str:
        """Return a second of the run as a line of text."""
        heard, _ = self._told(update.status)
        gained = update.before_dbfs - update.after_dbfs
        levels = f"{_level(update.before_dbfs)} to {_level(update.after_dbfs)}"
        return f"{update.seconds:6.1f} s  {levels} {gained:5.1f} dB quieter  {update.status.mode}  {heard}"

    def draw(self, update: StatusUpdate) -> Group:
        """Return a second of the run as a picture."""
        heard, sent = self._told(update.status)
        gained = update.before_dbfs - update.after_dbfs
        self._history.append(gained)
        facts = Table.grid(padding=(0, 2))
        facts.add_row("noise playing", self._noise)
        facts.add_row("the platform hears", Text(heard, "bold cyan"))
        facts.add_row("the filter it sent", sent)
        facts.add_row("the headset", self._headset(update))
        levels = Table.grid(padding=(0, 1))
        levels.add_row("before", _bar(update.before_dbfs, "red"), _level(update.before_dbfs))
        levels.add_row("after", _bar(update.after_dbfs, "green"), _level(update.after_dbfs))
        verdict = Text(f"{gained:5.1f} dB quieter at the ear", "bold green" if gained > 3 else "bold")
        body = Group(facts, "", levels, verdict, Text(_spark(self._history), "green"))
        where = f"{self._thing}   {update.seconds:.0f} s   Ctrl-C ends"
        panel = Panel(body, title="[bold]ANC Platform", subtitle=where, width=COLUMNS)
        return Group(panel, *([f"  {self._where}"] if self._where else []))

    @staticmethod
    def _headset(update: StatusUpdate) -> Text:
        status = update.status
        if status.emergency or status.mode == "transparency":
            return Text("TRANSPARENCY: open to the world", "bold white on red")
        plays = f"plays {status.filter_id}" if status.filter_id else "plays nothing yet"
        return Text(f"{plays}, {status.snapshots} snapshots, {status.reverted} reverted")


def result_document(result: SimulationResult) -> dict[str, Any]:
    """Return a run's result for machines."""
    figures = {name: value for name, value in asdict(result).items() if name not in ("onset_s", "course")}
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()}


def result_table(result: SimulationResult) -> Table:
    """Return a run's result for people."""

    def told(value: float | None, unit: str) -> str:
        return "-" if value is None else f"{value:.1f} {unit}"

    shown = table("at the ear, since the first filter", "")
    shown.add_row("quieter", f"[bold]{told(result.attenuation_db, 'dB')}[/]")
    shown.add_row("possible, known in hindsight", told(result.oracle_db, "dB"))
    shown.add_row("level before", told(result.before_dbfs, "dBFS"))
    shown.add_row("level after", told(result.after_dbfs, "dBFS"))
    shown.add_row("the first filter came after", told(result.first_filter_s, "s"))
    shown.add_row("filters, given up, snapshots", f"{result.filters}, {result.reverted}, {result.snapshots}")
    shown.add_row("the platform heard", result.noise or "-")
    if result.refused:
        shown.add_row("refused", result.refused)
    return shown


def write_picture(result: SimulationResult, noise: str, path: Path) -> None:
    """Draw a run's levels at the ear, as SVG or PNG."""
    events = [(result.onset_s, "")]
    told = "simulated head; no filter came"
    if result.first_filter_s is not None:
        first_s = result.first_filter_s
        events.append((result.onset_s + first_s, f"the first filter, {first_s:.2f} s after the noise began"))
        told = f"simulated head; {result.attenuation_db:.1f} dB quieter since the first filter"
    if result.oracle_db is not None:
        told += f", {result.oracle_db:.1f} dB were possible in hindsight"
    svg = plot_levels(result.trace, events, f"Level at the ear, dBFS: {noise}", told)
    path.write_bytes(png(svg) if path.suffix.lower() == ".png" else svg.encode())


def _level(dbfs: float) -> str:
    return f"{dbfs:6.1f} dBFS" if dbfs > SILENCE_DBFS else "    silence"


def _bar(level_dbfs: float, colour: str) -> Text:
    share = (level_dbfs - QUIET_DBFS) / (LOUD_DBFS - QUIET_DBFS)
    return Text("█" * round(BAR * min(max(share, 0.0), 1.0)), colour)


def _spark(history: deque[float]) -> str:
    steps = "▁▂▃▄▅▆▇█"
    return "".join(steps[min(int(max(gained, 0.0) / 4), len(steps) - 1)] for gained in history)
