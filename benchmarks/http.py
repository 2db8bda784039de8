"""A minimal HTTP/1.1 client with low overhead: requests are encoded in advance."""

import asyncio
import json
from ipaddress import IPv4Address
from itertools import count
from typing import Any, NamedTuple

ADDRESSES = count(2)


class Call(NamedTuple):
    """An encoded request; `name` is method and path of the endpoint."""

    name: str
    wire: bytes


class HttpClient:
    """A persistent connection with one request in flight."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "HttpClient":
        """Connect from an unused loopback address."""
        own = str(IPv4Address("127.0.0.0") + next(ADDRESSES))
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**26, local_addr=(own, 0)))

    async def send(self, call: Call, expect: tuple[int, ...] = (200, 201, 204)) -> bytes:
        """Return the response body. Raises RuntimeError for an unexpected status."""
        self._writer.write(call.wire)
        head = await self._reader.readuntil(b"\r\n\r\n")
        size = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                size = int(line[15:])
        body = await self._reader.readexactly(size) if size else b""
        status = int(head[9:12])
        if status not in expect:
            raise RuntimeError(f"{call.name}: {status} {body[:300]!r}")
        return body

    def close(self) -> None:
        self._writer.close()


def request(name: str, token: str = "", body: Any = None, path: str | None = None) -> Call:
    """Encode a request; `name` is method and path template, `path` the actual path."""
    method, _, at = name.partition(" ")
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    lines = [f"{method} {path or at} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(content)}"]
    if content:
        lines.append(f"Content-Type: {kind}")
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return Call(name, "\r\n".join([*lines, "", ""]).encode() + content)
