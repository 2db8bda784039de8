"""Limits on open connections, and which one is closed to make room."""

import resource
from dataclasses import dataclass

import pytest

from anc.settings import BadSetting
from local.http.connection_limits import (
    MAX_HTTP_CONNECTIONS,
    ConnectionLimiter,
    http_connections_allowed,
    mqtt_connections_allowed,
    proxies_of,
)


@dataclass(eq=False)
class Line:
    """A fake connection."""

    address: str = "10.0.0.1"
    idle: bool = True
    gone: bool = False
    closed: bool = False

    def close_to_make_room(self) -> None:
        self.closed = True


def test_the_oldest_idle_connection_of_an_address_makes_room_for_its_next_one() -> None:
    connections = ConnectionLimiter(total=10, per_address=3)
    busy, oldest, later = Line(idle=False), Line(), Line()
    other = Line("10.0.0.2")
    for line in (other, busy, oldest, later):
        assert connections.opened(line)
    assert connections.opened(Line())
    assert [line.closed for line in (other, busy, oldest, later)] == [False, False, True, False]


def test_an_address_at_its_limit_without_idle_connections_is_refused_and_others_are_not() -> None:
    connections = ConnectionLimiter(total=10, per_address=2)
    lines = [Line(idle=False), Line(idle=False)]
    assert all(connections.opened(line) for line in lines)
    assert not connections.opened(Line())
    assert connections.opened(Line("10.0.0.2"))
    connections.closed(lines[0])
    connections.closed(lines[0])
    assert connections.opened(Line())


def test_at_the_total_limit_the_address_with_most_connections_makes_room() -> None:
    connections = ConnectionLimiter(total=4, per_address=3)
    single, many = Line("10.0.0.1"), [Line("10.0.0.2") for _ in range(3)]
    for line in (single, *many):
        assert connections.opened(line)
    assert connections.opened(Line("10.0.0.3"))
    assert not single.closed
    assert [line.closed for line in many] == [True, False, False]


def test_a_closed_websocket_is_not_counted() -> None:
    connections = ConnectionLimiter(total=10, per_address=1)
    socket = Line(idle=False)
    assert connections.opened(socket)
    assert not connections.opened(Line())
    socket.gone = True
    assert connections.opened(Line())


def test_a_trusted_proxy_stands_for_many_clients() -> None:
    connections = ConnectionLimiter(total=10, per_address=1, is_proxy=proxies_of("127.0.0.1, 10.1.0.0/16"))
    for address, allowed in (("10.1.2.3", 2), ("127.0.0.1", 2), ("10.2.0.1", 1), ("", 1)):
        opened = [connections.opened(Line(address, idle=False)) for _ in range(2)]
        assert opened.count(True) == allowed, address


@pytest.mark.parametrize("wrong", ["*", "localhost", "10.0.0.1/8", "10.0.0.0/33", "127.0.0.1 10.0.0.1"])
def test_an_invalid_proxy_setting_is_rejected(wrong: str) -> None:
    with pytest.raises(BadSetting, match="TRUSTED_PROXIES="):
        proxies_of(wrong)


def test_connections_leave_descriptors_for_databases_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft in (256, 1024, 65_536, resource.RLIM_INFINITY):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        http, mqtt = http_connections_allowed(), mqtt_connections_allowed()
        assert 16 <= http <= MAX_HTTP_CONNECTIONS
        assert soft == resource.RLIM_INFINITY or http + mqtt <= 0.75 * soft


def test_without_the_setting_no_address_is_a_proxy() -> None:
    assert not proxies_of("")("127.0.0.1")
