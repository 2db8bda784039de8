"""A headset's connection that can send arbitrary bytes."""

import socket
import ssl
import tempfile
from contextlib import suppress
from typing import Any, Self

from local.mqtt.packets import PINGRESP
from tests.processes import PATIENCE_S


def packet(first: int, body: bytes) -> bytes:
    """Return a packet with its length."""
    size, length = len(body), b""
    while True:
        size, low = size >> 7, size & 0x7F
        length += bytes([low | (0x80 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def text(value: str | bytes) -> bytes:
    encoded = value.encode() if isinstance(value, str) else value
    return len(encoded).to_bytes(2, "big") + encoded


def connect_packet(client_id: str) -> bytes:
    return packet(0x10, text("MQTT") + b"\x04\x02" + (60).to_bytes(2, "big") + text(client_id))


class Headset:
    """A TLS connection with the credentials of a registration.

    Parameters
    ----------
    credentials : mapping
        The member `credentials` of the answer to `POST /api/devices`.
    """

    def __init__(self, credentials: dict[str, Any]) -> None:
        context = ssl.create_default_context(cadata=credentials["ca"])
        context.check_hostname = False
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(credentials["certificate"] + credentials["private_key"])
            file.flush()
            context.load_cert_chain(file.name)
        plain = socket.create_connection(("127.0.0.1", credentials["port"]), PATIENCE_S)
        self.line = context.wrap_socket(plain)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    def connect(self, client_id: str) -> Self:
        self.line.sendall(connect_packet(client_id))
        assert self.line.recv(4) == b"\x20\x02\x00\x00"
        return self

    def publish(self, topic: str | bytes, payload: bytes) -> None:
        """Send a message; the broker may close the connection before it has all of it."""
        with suppress(ConnectionError, ssl.SSLError):
            self.line.sendall(packet(0x30, text(topic) + payload))

    def is_answered(self) -> bool:
        """Return whether the broker still answers a ping on this connection."""
        received = b""
        try:
            self.line.sendall(packet(0xC0, b""))
            while bytes([PINGRESP << 4, 0]) not in received[-2:]:
                piece = self.line.recv(65536)
                if not piece:
                    return False
                received += piece
        except (ConnectionError, ssl.SSLError):
            return False
        return True
