"""First use: `make run` in a terminal, open the printed link, click Play."""

import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

import pytest

from local.process import free_port
from tests.browser.conftest import Visit
from tests.processes import PATIENCE_S

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(rb"Console:\s+(http://127\.0\.0\.1:\d+/#code=[\w-]+)")
COLOURS = re.compile(rb"\x1b\[[\d;?]*\w")


class Terminal:
    """Reads the output continuously: a process blocks when nothing reads its terminal."""

    def __init__(self, ours: int) -> None:
        self._ours = ours
        self._shown = b""
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # the other end is closed
            while part := os.read(self._ours, 65536):
                with self._changed:
                    self._shown += part
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def address(self) -> str:
        """Return the sign-in link of the console, once it is printed."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._found(), PATIENCE_S)
        found = self._found()
        assert found, self._shown.decode(errors="replace")
        return found[1].decode()

    def _found(self) -> re.Match[bytes] | None:
        return ADDRESS.search(COLOURS.sub(b"", self._shown))

    def close(self) -> None:
        """Close the terminal after its processes have ended."""
        self._reader.join(PATIENCE_S)
        os.close(self._ours)


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[str]:
    """Yield the link that `make run` prints on a terminal of 80 by 24."""
    if not shutil.which("make"):
        pytest.skip("no make on this machine")
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = ["make", "run", f"PORT={free_port()}", f"DATA={tmp_path / 'data'}"]
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "CI")}
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environ, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    terminal = Terminal(ours)
    yield terminal.address()
    os.killpg(running.pid, signal.SIGINT)
    with suppress(OSError):  # on Linux: the terminal was closed
        while os.read(ours, 65536):  # until the process ends
            pass
    running.wait()
    terminal.close()


def test_a_newcomer_hears_sound_one_click_after_opening_the_link_of_make_run(
    printed: str, visit: Visit
) -> None:
    console = visit(role=None)
    console.page.goto(printed)
    console.button("Play").click()
    console.until_output("level > -60")
    console.until("attenuation", "value > 10")
    console.page.get_by_role("link", name="Headsets").click()
    console.page.get_by_role("link", name="demo-headset").click()
    console.until("attenuation", "value > 5")
