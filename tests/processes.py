"""Run `anc up` in a separate process, on a free port and a folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from websockets.sync.client import ClientConnection, connect

from anc.settings import Settings
from local.auth.issuer import Issuer
from local.process import free_port

ANC = str(Path(sys.executable).with_name("anc"))
T = TypeVar("T")
UP = "Platform running"
PATIENCE_S = 300.0  # of a machine with other things to do; every wait ends with its event
ASK_AGAIN_S, LONGEST_PAUSE_S = 0.02, 0.5  # more and more seldom: questions cost time and count towards quotas


def until(found: Callable[[], T]) -> T:
    """Poll `found` and return its first true result."""
    give_up, pause = time.monotonic() + PATIENCE_S, ASK_AGAIN_S
    while not (answer := found()):
        assert time.monotonic() < give_up, f"not within {PATIENCE_S:g} s"
        time.sleep(pause)
        pause = min(1.3 * pause, LONGEST_PAUSE_S)
    return answer


def read_to_end(line: socket.socket) -> bytes:
    """Return everything that the peer sends before it closes the connection."""
    parts = []
    try:
        while part := line.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


class Platform:
    """A running platform; it can be killed and started again on the same folder and port."""

    def __init__(self, folder: Path, *options: str, **environ: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.log = folder / "log"
        self.options = options
        self.environ = {**os.environ, **environ}
        self.tokens: dict[str, str] = {}
        self.printed = ""
        self.start()

    def start(self) -> None:
        """Start the platform and wait until it is running."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [ANC, "up", "--port", str(self.port), "--data", str(self.data), *self.options],
                cwd=self.folder,
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(UP), line + self.log.read_text()

    def kill(self) -> None:
        """Kill the platform with SIGKILL, as a power failure would."""
        self.process.kill()
        self._wait()

    def stop(self) -> int:
        """Stop the platform with SIGTERM, as a service manager would; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self._wait()
        return self.process.returncode

    def _wait(self) -> None:
        self.printed += self.process.communicate(timeout=PATIENCE_S)[0] or ""

    def token(self, user: str) -> str:
        """Return a listener's token, as `anc token` prints it; the command takes half a second to start."""
        if user not in self.tokens:
            self.tokens[user] = Issuer(self.data, Settings()).issue(user, "listener")
        return self.tokens[user]

    def request(
        self, method: str, path: str, body: Any = None, user: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Call the REST API and return status and document."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": "audio/wav" if isinstance(body, bytes) else "application/json"}
        if user:
            headers["Authorization"] = f"Bearer {self.token(user)}"
        call = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(call, timeout=PATIENCE_S) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.loads(refusal.read())

    def connect(self, user: str) -> "Socket":
        """Open a WebSocket as a browser does, with the token among the subprotocols."""
        return Socket(
            connect(
                f"ws://127.0.0.1:{self.port}/ws",
                subprotocols=["anc.v1", self.token(user)],  # type: ignore[list-item]
                compression=None,
                open_timeout=PATIENCE_S,
                proxy=None,
            )
        )


class Socket:
    """A WebSocket client based on `websockets`."""

    def __init__(self, plain: ClientConnection) -> None:
        self.plain = plain

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self.plain.close()

    def send(self, **frame: Any) -> None:
        self.plain.send(json.dumps(frame))

    def receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.plain.recv(PATIENCE_S))
        return answer

    def ask(self, **frame: Any) -> dict[str, Any]:
        """Send a frame and return the next one received."""
        self.send(**frame)
        return self.receive()

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        self.plain.socket.shutdown(socket.SHUT_RDWR)
