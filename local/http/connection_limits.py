"""Limits on open HTTP connections, in total and by client address."""

import resource
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Protocol

from anc.settings import BadSetting

MOST_HTTP = 4096
UNLIMITED = 2**20  # descriptors assumed where the system sets no limit
WAIT_S = 5


class HttpConnection(Protocol):
    """One open connection."""

    @property
    def address(self) -> str:
        """The client's address."""

    @property
    def gone(self) -> bool:
        """Whether it was closed without a call of `Connections.closed`."""

    @property
    def idle(self) -> bool:
        """Whether it may be closed to make room for another."""

    def give_way(self) -> None:
        """Close."""


class ConnectionLimiter:
    """The open connections. Use it from one event loop.

    At a limit, the oldest idle connection is closed to make room: one of the same address if that address is
    at its limit, otherwise one of the address with the most connections. Without an idle one the new
    connection is refused.

    Parameters
    ----------
    total : int
    of_an_address : int
    is_proxy : callable
        `is_proxy(address)` tells whether an address stands for many clients; the second limit does not apply.
    """

    def __init__(
        self, total: int, of_an_address: int, is_proxy: Callable[[str], bool] = lambda address: False
    ) -> None:
        self._total, self._of_an_address = total, of_an_address
        self._is_proxy = is_proxy
        self._open: dict[HttpConnection, str] = {}  # in the order in which they were opened
        self._by_address: Counter[str] = Counter()

    def opened(self, connection: HttpConnection) -> bool:
        """Register a new connection; return False when there is no room for it."""
        address = connection.address
        if self._full(address):
            for other in [other for other in self._open if other.gone]:
                self.closed(other)
        if self._full(address) and not self._make_room(address):
            return False
        self._open[connection] = address
        self._by_address[address] += 1
        return True

    def closed(self, connection: HttpConnection) -> None:
        """Remove a connection; removing it twice is fine."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def _full(self, address: str) -> bool:
        return len(self._open) >= self._total or self._too_many_of(address)

    def _too_many_of(self, address: str) -> bool:
        return self._by_address[address] >= self._of_an_address and not self._is_proxy(address)

    def _make_room(self, address: str) -> bool:
        other = next(self._idle(address), None)
        if other is None:
            return False
        self.closed(other)
        other.give_way()
        return True

    def _idle(self, address: str) -> Iterator[HttpConnection]:
        if self._too_many_of(address):
            addresses = [address]
        else:
            addresses = [most for most, _ in self._by_address.most_common()]
        for candidate in addresses:
            yield from (one for one, its in self._open.items() if its == candidate and one.idle)


def http_connections_allowed() -> int:
    """Return the limit of HTTP connections: half of the process's file descriptors, at most `MOST_HTTP`."""
    return max(16, min(MOST_HTTP, _descriptors() // 2))


def mqtt_connections_allowed() -> int:
    """Return the limit of MQTT connections: a quarter of the process's file descriptors."""
    return max(16, _descriptors() // 4)


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def proxies_of(setting: str) -> Callable[[str], bool]:
    """Return a function that tells whether an address belongs to the proxies that the setting lists.

    Raises
    ------
    BadSetting
        When a part of the setting is neither an address nor a network.
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
