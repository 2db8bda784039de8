"""Unfinished requests."""

import socket
from contextlib import ExitStack
from typing import Self

from tests.attacks.target import Target

SIGN_IN = b"POST /api/auth/token HTTP/1.1\r\nHost: x\r\n"
HALVES = {
    "nothing at all": b"",
    "a request line": b"GET /health HTTP/1.1\r\n",
    "a head without its end": b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: y",
    "a sign-in without its body": SIGN_IN + b"Content-Length: 20\r\n\r\n{",
    "a login code without its body": b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n",
    "a chunk without its end": SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
}


class SlowRequests:
    """One connection for each of `HALVES`, held open."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stack = ExitStack()
        self.lines: dict[str, socket.socket] = {}

    def __enter__(self) -> Self:
        for what, half in HALVES.items():
            self.lines[what] = self._stack.enter_context(self._target.open_line())
            self.lines[what].sendall(half)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
