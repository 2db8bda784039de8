"""`anc demo` and `anc headset`: run a simulated headset and show its status, as a live view or as JSON."""

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
from typing import Any, Literal
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

HISTORY_LENGTH = 60
SILENCE_DBFS, BAR_MIN_DBFS, BAR_MAX_DBFS = -120.0, -80.0, -10.0
BAR_WIDTH = 40
VIEW_COLUMNS = 80
USER = "demo"
THING_NAME = re.compile("[A-Za-z0-9:_-]{1,128}")  # the names that AWS IoT accepts


def register(url: str, token: str, thing: str, plant: AcousticPlant, folder: Path) -> Credentials:
    """Return the headset's stored credentials, or register it and store them in its folder.

    Raises
    ------
    PlatformFailed
        The platform rejected the registration.
    """
    stored = folder / "credentials.json"
    device = NewDevice(thing=thing, rate=plant.rate, secondary=plant.measured_secondary().tolist())
    try:
        with Client(url, token, timeout_s=START_S) as client:
            if stored.exists() and _is_registered(client, thing):
                return _read_credentials(stored)._replace(port=mqtt_port(url))  # the port may have changed
            credentials = asdict(client.register(device).credentials)
    except ApiError as refusal:
        raise PlatformFailed(f"cannot register {thing}: {refusal.detail}") from refusal
    with os.fdopen(os.open(stored, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(credentials, file)
    return Credentials(**credentials)


def desired_state(url: str, token: str, thing: str) -> dict[str, Any]:
    """Return the desired state of a headset's shadow, which the console shows too; empty if there is none."""
    with Client(url, token, timeout_s=START_S) as client, contextlib.suppress(ApiError):
        desired: dict[str, Any] = client.shadow(thing).state.get("desired", {})
        return desired
    return {}


def mqtt_port(url: str) -> int:
    """Return the MQTT port, which is the one after the REST port."""
    return (urlsplit(url).port or 80) + 1


def _read_credentials(file: Path) -> Credentials:
    try:
        return Credentials(**json.loads(file.read_text()))
    except (TypeError, ValueError) as fault:
        raise UnusableFolder(f"{file}: damaged; delete it, and delete the headset in the console") from fault


def _is_registered(client: Client, thing: str) -> bool:
    try:
        client.device(thing)
    except ApiError as refusal:
        if refusal.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


class DeviceWatcher:
    """A WebSocket client that receives a headset's updates from the platform."""

    def __init__(self, url: str, token: str, thing: str) -> None:
        self.latest: dict[str, Any] = {}
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
        self._thread = threading.Thread(target=self._receive, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
        self._thread.join(STOP_S)

    def show_desired(self, desired: dict[str, Any]) -> None:
        """Show the noise of a desired state until the first update arrives."""
        self.latest = self.latest or {"noise": desired.get("noise")}

    def describe(self, status: Status) -> tuple[str, str]:
        """Return the detected noise and the filter that the platform sent, as text."""
        noise = self.latest.get("noise") or {"label": "", "confidence": 0.0}
        detected = noise_text(**noise)
        gain = self.latest.get("predicted_gain_db")
        return detected, f"{self.latest['filter']}, {gain:.1f} dB predicted" if gain is not None else "-"

    def _receive(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for frame in self._socket:
                message = json.loads(frame)
                if message["type"] == "device":
                    self.latest = message


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
    """Register a headset, run it in a noise and show its status.

    Parameters
    ----------
    url : str
        REST URL of a local platform on the folder `data`.
    issuer : Issuer
        Token issuer of that platform.
    scene, name : Scene, str
        The noise and its display name.
    seconds : float
        Duration; infinite runs until interrupted.
    console : Console or None
        None shows nothing.
    measure : str or None
        As in `simulation.headset.run_headset`.
    link : ConsoleLink, optional
        On a terminal, a new link is shown once the last one is used.

    Raises
    ------
    FolderInUse
        A headset of that name is already running.
    PlatformFailed
    """
    plant = AcousticPlant()
    token = issuer.issue(USER, "operator")
    with headset_folder(data, thing) as folder:
        credentials = register(url, token, thing, plant, folder)
        watcher = DeviceWatcher(url, token, thing)
        watcher.show_desired(desired_state(url, token, thing))
        try:
            return watch(
                View(thing, name, watcher.describe),
                console,
                lambda show: run_headset(
                    thing, credentials, plant, scene, seconds, folder, show, measure=measure
                ),
                link,
            )
        finally:
            watcher.close()


@contextlib.contextmanager
def headset_folder(data: Path, thing: str) -> Iterator[Path]:
    """Lock and return the folder of a simulated headset, for one process at a time.

    Raises
    ------
    UnusableFolder
    """
    if not THING_NAME.fullmatch(thing):
        raise UnusableFolder(f"--thing {thing}: must be 1 to 128 letters, digits, colons, _ or -")
    folder = data / "headsets" / thing
    make_private(folder)
    with folder_lock(folder, "a headset of this name", "stop it, or choose another name with --thing"):
        yield folder


def watch(
    view: "View",
    console: Console | None,
    run: Callable[[Callable[[StatusUpdate], None]], SimulationResult],
    link: ConsoleLink | None = None,
) -> SimulationResult:
    """Run a headset and show it: live on a terminal, one line per update elsewhere, or not at all."""
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


def noise_text(label: str, confidence: float) -> str:
    """Return a noise label with its confidence as text, the same as the console shows; "-" for none."""
    return f"{label} ({confidence:.0%})" if label else "-"


class View:
    """The live view, 80 columns wide.

    Parameters
    ----------
    thing, noise : str
        Display names of the headset and the noise.
    describe : callable
        `describe(status)` returns the detected noise and the filter sent, as text.
    footer : str
        Line below the panel, or "".
    """

    def __init__(
        self, thing: str, noise: str, describe: Callable[[Status], tuple[str, str]], footer: str = ""
    ) -> None:
        self._thing, self._noise = thing, noise
        self._describe, self._footer = describe, footer
        self._history: deque[float] = deque(maxlen=HISTORY_LENGTH)

    def line(self, update: StatusUpdate) -> str:
        """Return an update as one line of text."""
        detected, _ = self._describe(update.status)
        levels = f"{_level(update.before_dbfs)} -> {_level(update.after_dbfs)}"
        gain = f"attenuation {_decibels(_attenuation_db(update))} dB"
        return f"{update.seconds:6.1f} s  {levels}  {gain}  {update.status.mode}  {detected}"

    def draw(self, update: StatusUpdate) -> Group:
        """Return an update as a panel."""
        detected, sent = self._describe(update.status)
        attenuation_db = _attenuation_db(update)
        self._history.append(attenuation_db or 0.0)
        facts = Table.grid(padding=(0, 2))
        facts.add_row("Noise", self._noise)
        facts.add_row("Detected", Text(detected, "bold cyan"))
        facts.add_row("Filter sent", sent)
        facts.add_row("Headset", self._headset(update))
        levels = Table.grid(padding=(0, 1))
        levels.add_row("Before", _bar(update.before_dbfs, "red"), _level(update.before_dbfs))
        levels.add_row("After", _bar(update.after_dbfs, "green"), _level(update.after_dbfs))
        style = "bold green" if attenuation_db and attenuation_db > 3 else "bold"
        gain = Text(f"{_decibels(attenuation_db)} dB attenuation", style)
        body = Group(facts, "", levels, gain, Text(_spark(self._history), "green"))
        subtitle = f"{self._thing}   {update.seconds:.0f} s   Ctrl-C to stop"
        panel = Panel(body, title="[bold]ANC Platform", subtitle=subtitle, width=VIEW_COLUMNS)
        return Group(panel, *([f"  {self._footer}"] if self._footer else []))

    @staticmethod
    def _headset(update: StatusUpdate) -> Text:
        status = update.status
        if status.emergency or status.mode == "transparency":
            return Text("TRANSPARENCY", "bold white on red")
        playing = f"filter {status.filter_id}" if status.filter_id else "no filter"
        return Text(f"{playing}, {status.snapshots} snapshots, {status.reverted} reverted")


def result_document(result: SimulationResult) -> dict[str, Any]:
    """Return the result of a run as a JSON object."""
    figures = {name: value for name, value in asdict(result).items() if name not in ("onset_s", "course")}
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()}


def result_table(result: SimulationResult) -> Table:
    """Return the result of a run as a table."""

    def quantity(value: float | None, unit: str) -> str:
        return "-" if value is None else f"{value:.1f} {unit}"

    rows = table("At the ear, since the first filter", "")
    rows.add_row("Attenuation", f"[bold]{quantity(result.attenuation_db, 'dB')}[/]")
    rows.add_row("Best fixed filter (oracle)", quantity(result.oracle_db, "dB"))
    rows.add_row("Level before", quantity(result.before_dbfs, "dBFS"))
    rows.add_row("Level after", quantity(result.after_dbfs, "dBFS"))
    rows.add_row("Time to the first filter", quantity(result.first_filter_s, "s"))
    rows.add_row("Filters received, reverted", f"{result.filters}, {result.reverted}")
    rows.add_row("Snapshots sent", str(result.snapshots))
    rows.add_row("Detected noise", noise_text(result.noise, result.noise_confidence))
    if result.refused:
        rows.add_row("Rejected filters", result.refused)
    return rows


def write_plot(result: SimulationResult, noise: str, path: Path) -> None:
    """Plot a run's levels at the ear to an SVG or PNG file."""
    from tools.report.level_plot import plot_levels  # matplotlib takes a second to import

    marks = [(result.onset_s, "")]
    subtitle = "Simulated headset; no filter received"
    if result.first_filter_s is not None:
        first_s = result.first_filter_s
        marks.append((result.onset_s + first_s, f"first filter, {first_s:.2f} s after the noise starts"))
        subtitle = f"Simulated headset; {result.attenuation_db:.1f} dB attenuation since the first filter"
    if result.oracle_db is not None:
        subtitle += f" (best fixed filter: {result.oracle_db:.1f} dB)"
    file_format: Literal["svg", "png"] = "png" if path.suffix.lower() == ".png" else "svg"
    path.write_bytes(plot_levels(result.trace, marks, f"Level at the ear: {noise}", subtitle, file_format))


def _attenuation_db(update: StatusUpdate) -> float | None:
    """Return the attenuation in dB; None in silence, which cannot be attenuated."""
    return update.before_dbfs - update.after_dbfs if update.before_dbfs > SILENCE_DBFS else None


def _decibels(value: float | None) -> str:
    return "    -" if value is None else f"{value:5.1f}"


def _level(dbfs: float) -> str:
    return f"{dbfs:6.1f} dBFS" if dbfs > SILENCE_DBFS else "    silence"


def _bar(level_dbfs: float, colour: str) -> Text:
    share = (level_dbfs - BAR_MIN_DBFS) / (BAR_MAX_DBFS - BAR_MIN_DBFS)
    return Text("█" * round(BAR_WIDTH * min(max(share, 0.0), 1.0)), colour)


def _spark(history: deque[float]) -> str:
    steps = "▁▂▃▄▅▆▇█"
    return "".join(
        steps[min(int(max(attenuation_db, 0.0) / 4), len(steps) - 1)] for attenuation_db in history
    )
