"""Servers and sockets on this machine that the adapters under test connect to."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from local.http.gateway import LocalSockets
from tests.processes import PATIENCE_S


class Socket:
    """A fake of the ASGI server's WebSocket that records what is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed = threading.Event()

    async def send_text(self, text: str) -> None:
        self.sent.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.closed.set()


@contextmanager
def gateway_with_an_open_socket() -> Iterator[Any]:
    """Yield `LocalSockets` with an open socket `open`, in an event loop of another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    local, socket, registered = LocalSockets(), Socket(), threading.Event()

    def register() -> None:
        local.opened("open", socket)  # type: ignore[arg-type]
        registered.set()

    loop.call_soon_threadsafe(register)
    assert registered.wait(PATIENCE_S)
    try:
        yield SimpleNamespace(
            port=local, sent=lambda connection: socket.sent, closed=lambda: socket.closed.wait(20)
        )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


@contextmanager
def jwks_server(jwks: dict[str, Any]) -> Iterator[str]:
    """Serve a key set on this machine and yield its URL."""

    class KeySetRequest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(jwks).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), KeySetRequest)
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()
        server.server_close()


class EndpointServer(ThreadingHTTPServer):
    """A fake endpoint that returns the configured response and records requests.

    moto accepts no binary body. botocore's own client calls this server, so the protocol is that of AWS.
    """

    daemon_threads = True

    def __init__(self, path: str, error_type: str) -> None:
        super().__init__(("127.0.0.1", 0), EndpointRequest)
        self.path, self.error_type = path, error_type
        self.status, self.body = 200, b"{}"
        self.requests: list[tuple[str, bytes]] = []
        self.released = threading.Event()
        self.released.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class EndpointRequest(BaseHTTPRequestHandler):
    server: EndpointServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == self.server.path
        self.server.requests.append((self.headers["Content-Type"], body))
        self.server.released.wait(PATIENCE_S)
        self.send_response(self.server.status)
        if self.server.status != 200:
            self.send_header("x-amzn-errortype", self.server.error_type)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass
