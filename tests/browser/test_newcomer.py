"""What somebody new does: `make run` in a terminal, the address that it prints, one click."""

import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.browser.conftest import Visit
from tests.running import free_port

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(rb"the console:\s+(http://127\.0\.0\.1:\d+/#code=[\w-]+)")
COLOURS = re.compile(rb"\x1b\[[\d;?]*\w")


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[str]:
    """Give the address that `make run` prints on a terminal of 80 by 24."""
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
    shown = b""
    while not (found := ADDRESS.search(COLOURS.sub(b"", shown))):
        part = os.read(ours, 65536)
        assert part, shown.decode(errors="replace")
        shown += part
    yield found[1].decode()
    os.killpg(running.pid, signal.SIGINT)
    with suppress(OSError):  # a terminal that was closed, on Linux
        while os.read(ours, 65536):  # it prints its result before it ends
            pass
    running.wait()
    os.close(ours)


def test_a_newcomer_reaches_sound_in_one_click_from_what_make_run_prints(printed: str, visit: Visit) -> None:
    console = visit(role=None)
    console.page.goto(printed)
    console.button("Play").click()
    console.until_heard("level > -60")
    console.until("attenuation", "value > 10")
    console.page.get_by_role("link", name="Headsets").click()
    console.page.get_by_role("link", name="demo-headset").click()
    console.until("gained", "value > 5")
