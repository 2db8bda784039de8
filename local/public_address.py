"""The addresses under which browsers, clients and headsets reach the platform of this machine."""

import ipaddress
import os
import re
import socket
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from local.data_folder import UnusableFolder

LOOPBACK = "127.0.0.1"
THIS_MACHINE = ("localhost", LOOPBACK, "::1")
ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  compared, never bound
# A test address (RFC 5737). Connecting a datagram socket to it sends nothing and selects the local address.
OUTSIDE = ("192.0.2.1", 9)
HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")
FILE = "address.json"


class InvalidName(ValueError):
    """Raised when a name is neither a host name nor an address; the message says which."""


class PublicAddress(msgspec.Struct, frozen=True):
    """Where the platform listens and how it is reached.

    Attributes
    ----------
    host : str
        Address to listen on.
    port : int
        Port of REST and WebSocket; MQTT uses the next one.
    names : tuple of str
        Host names and addresses of this machine for its clients, the preferred one first.
    tls : bool
        Whether REST and WebSocket use TLS.
    own_certificate : bool
        Whether the certificate is one of the platform's own authority.
    """

    host: str
    port: int
    names: tuple[str, ...]
    tls: bool = False
    own_certificate: bool = True

    @classmethod
    def of(
        cls,
        host: str,
        port: int,
        names: Sequence[str] = (),
        tls: bool = False,
        own_certificate: bool = True,
    ) -> Self:
        """Return the address of a platform that listens on `host`.

        Without `names`, an address on which it listens is the preferred name: that of the interface to the
        network when it listens on all of them.

        Raises
        ------
        InvalidName
        """
        for name in names:
            if not _is_address(name) and not HOST_NAME.fullmatch(name):
                raise InvalidName(f"--name {name}: must be a host name or an address")
        own = _machine_addresses(host) if host in ANY_ADDRESS else [host]
        return cls(host, port, tuple(dict.fromkeys([*names, *own])), tls, own_certificate)

    @classmethod
    def read(cls, data: Path, default_port: int, port: int | None = None) -> Self:
        """Return the address at which the platform of a folder was started last; `port` replaces its port."""
        try:
            address = msgspec.json.decode((data / FILE).read_bytes(), type=cls)
        except FileNotFoundError:
            address = cls.of(LOOPBACK, default_port)
        except msgspec.DecodeError as fault:
            raise UnusableFolder(f"{data / FILE}: damaged; remove it and start the platform again") from fault
        return msgspec.structs.replace(address, port=port or address.port)

    def save(self, data: Path) -> None:
        """Store the address for the commands that use the data folder."""
        partial = data / f"{FILE}.new"
        partial.write_bytes(msgspec.json.encode(self))
        partial.replace(data / FILE)

    @property
    def endpoint(self) -> str:
        """Host name or address for headsets."""
        return self.names[0]

    @property
    def url(self) -> str:
        """URL for clients."""
        return self._url(self.names[0])

    @property
    def local_url(self) -> str:
        """URL for commands on this machine."""
        if self.tls and not self.own_certificate:
            return self.url  # its certificate need not name the loopback address
        return self._url(LOOPBACK if self.host in ANY_ADDRESS else self.host)

    @property
    def warning(self) -> str:
        """A notice when unencrypted HTTP leaves this machine; "" otherwise."""
        if self.tls or _is_loopback(self.host):
            return ""
        return (
            f"REST and WebSocket at {self.url} are not encrypted: anyone on the network can read passwords,"
            " tokens and sound; use --tls, or listen on 127.0.0.1 behind a proxy with TLS"
        )

    def _url(self, name: str) -> str:
        host = f"[{name}]" if ":" in name else name
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def bypass_proxies(environ: MutableMapping[str, str]) -> None:
    """Let clients reach this machine without the proxy that the environment sets for other machines."""
    excluded = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if excluded.strip() != "*":  # which means all, but only alone
        environ["no_proxy"] = environ["NO_PROXY"] = ",".join(filter(None, [excluded, *THIS_MACHINE]))


def trust(address: PublicAddress, certificates: Path) -> None:
    """Let the HTTP and WebSocket clients of this process trust the platform's own authority."""
    if address.tls and address.own_certificate:
        os.environ["SSL_CERT_FILE"] = str(certificates.absolute() / "ca.pem")


def listener(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """Return a listening socket; on `::`, for IPv4 and IPv6. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dual_stack = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=dual_stack)


def _machine_addresses(host: str) -> list[str]:
    found = [_outgoing_address()]
    with suppress(OSError):  # the host name has no address
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)]
    families = (4, 6) if host == "::" else (4,)
    return [
        address
        for address in [*filter(None, found), LOOPBACK]
        if ipaddress.ip_address(address.partition("%")[0]).version in families and "%" not in address
    ]


def _outgoing_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(OUTSIDE)
        except OSError:  # no network
            return ""
        return str(probe.getsockname()[0])


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
