"""Limits on open HTTP connections, in total and by client address."""

import resource
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Protocol

from anc.settings import BadSetting

MAX_HTTP_CONNECTIONS = 4096
DEFAULT_DESCRIPTORS = 2**20  # assumed when the system sets no limit
RETRY_AFTER_S = 5


class HttpConnection(Protocol):
    """One open connection."""

    @property
    def address(self) -> str:
        """The client's address."""

    @property
    def gone(self) -> bool:
        """Whether it was closed without a call of `ConnectionLimiter.closed`."""

    @property
    def idle(self) -> bool:
        """Whether it may be closed to make room for another."""

    def close_to_make_room(self) -> None:
        """Close the connection."""


class ConnectionLimiter:
    """The open connections. Use it from one event loop.

    At a limit, the oldest idle connection is closed to make room: one of the same address if that address is
    at its limit, otherwise one of the address with the most connections. Without an idle one the new
    connection is refused.

    Parameters
    ----------
    total : int
    per_address : int
    is_proxy : callable
        `is_proxy(address)` returns whether an address is a proxy, which is exempt from the second limit.
    """

    def __init__(
        self, total: int, per_address: int, is_proxy: Callable[[str], bool] = lambda address: False
    ) -> None:
        self._total, self._per_address = total, per_address
        self._is_proxy = is_proxy
        self._open: dict[HttpConnection, str] = {}  # oldest first
        self._by_address: Counter[str] = Counter()

    def opened(self, connection: HttpConnection) -> bool:
        """Register a new connection; return False when it must be refused."""
        address = connection.address
        if self._is_full(address):
            for other in [other for other in self._open if other.gone]:
                self.closed(other)
        if self._is_full(address) and not self._make_room(address):
            return False
        self._open[connection] = address
        self._by_address[address] += 1
        return True

    def closed(self, connection: HttpConnection) -> None:
        """Remove a connection. May be called twice."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def _is_full(self, address: str) -> bool:
        return len(self._open) >= self._total or self._address_is_full(address)

    def _address_is_full(self, address: str) -> bool:
        return self._by_address[address] >= self._per_address and not self._is_proxy(address)

    def _make_room(self, address: str) -> bool:
        other = next(self._idle(address), None)
        if other is None:
            return False
        self.closed(other)
        other.close_to_make_room()
        return True

    def _idle(self, address: str) -> Iterator[HttpConnection]:
        if self._address_is_full(address):
            addresses = [address]
        else:
            addresses = [address for address, _ in self._by_address.most_common()]
        for candidate in addresses:
            yield from (one for one, owner in self._open.items() if owner == candidate and one.idle)


def http_connections_allowed() -> int:
    """Return half of the process's file descriptors, at most `MAX_HTTP_CONNECTIONS`."""
    return max(16, min(MAX_HTTP_CONNECTIONS, _descriptors() // 2))


def mqtt_connections_allowed() -> int:
    """Return the limit of MQTT connections: a quarter of the process's file descriptors."""
    return max(16, _descriptors() // 4)


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return DEFAULT_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def proxies_of(setting: str) -> Callable[[str], bool]:
    """Return a predicate for addresses that belong to the proxies listed in the setting.

    Raises
    ------
    BadSetting
        When the setting contains anything but addresses and networks.
    """
    try:
        networks = [ip_network(part.strip()) for part in setting.split(",") if part.strip()]
    except ValueError as fault:
        raise BadSetting(f"TRUSTED_PROXIES={setting}: {fault}") from fault

    def is_proxy(address: str) -> bool:
        try:
            return any(ip_address(address) in network for network in networks)
        except ValueError:
            return False

    return is_proxy
