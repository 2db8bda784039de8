"""The view of a headset: the noise that the console shows, with its confidence, and the levels."""

import json
import queue
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console, Group

from iot.status import Status
from simulation.headset import StatusUpdate
from tests.processes import until
from tools.cli import demo
from tools.cli.remote_headset import _detection_on_headset

NOISE = {"label": "machine", "confidence": 0.82}


class FakeSocket:
    """A connection on which the test sends frames; None closes it."""

    def __init__(self) -> None:
        self.frames: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def send(self, frame: str) -> None:
        """Ignore the request to watch."""

    def close(self) -> None:
        self.frames.put(None)

    def __iter__(self) -> Iterator[str]:
        return iter(lambda: json.dumps(self.frames.get()), "null")


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> FakeSocket:
    socket = FakeSocket()
    monkeypatch.setattr(demo, "connect", lambda *_, **__: socket)
    return socket


def test_before_the_first_update_the_noise_is_that_of_the_shadow(socket: FakeSocket) -> None:
    watcher = demo.DeviceWatcher("http://localhost", "token", "h1")
    watcher.show_desired({"mode": "cancel", "noise": NOISE})
    assert watcher.describe(Status()) == ("machine (82%)", "-")
    watcher.close()


def test_an_update_replaces_the_noise_of_the_shadow(socket: FakeSocket) -> None:
    watcher = demo.DeviceWatcher("http://localhost", "token", "h1")
    socket.frames.put({"type": "device", "noise": {"label": "rail", "confidence": 0.6}, "filter": ""})
    until(lambda: watcher.latest)
    watcher.show_desired({"noise": NOISE})
    assert watcher.describe(Status())[0] == "rail (60%)"
    watcher.close()


def test_a_headset_elsewhere_shows_the_same_text() -> None:
    assert _detection_on_headset(Status(noise="machine", noise_confidence=0.82)) == ("machine (82%)", "-")
    assert _detection_on_headset(Status()) == ("-", "-")


def test_the_result_shows_the_same_text() -> None:
    result = SimpleNamespace(
        attenuation_db=None, oracle_db=None, before_dbfs=None, after_dbfs=None, first_filter_s=None,
        filters=0, reverted=0, snapshots=0, noise="machine", noise_confidence=0.82, refused="",
    )  # fmt: skip
    cells = [str(cell) for column in demo.result_table(result).columns for cell in column.cells]
    assert "machine (82%)" in cells


@pytest.mark.parametrize(
    ("before_dbfs", "expected"),
    [
        (-20.0, " -20.0 dBFS ->  -84.1 dBFS  attenuation  64.1 dB"),
        (-200.0, "silence ->  -84.1 dBFS  attenuation     - dB"),
    ],
)
def test_silence_has_no_attenuation(before_dbfs: float, expected: str) -> None:
    view = demo.View("h1", "cabin", lambda _: ("-", "-"))
    update = StatusUpdate(1.0, before_dbfs, -84.1, Status())
    assert expected in view.line(update)
    assert expected.partition("attenuation ")[2] in _text(view.draw(update))


def _text(group: Group) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(group)
    return captured.get()
