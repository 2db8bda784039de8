"""Contract of `anc.ports.Sockets`."""

import pytest

from anc.ports import Gone


def test_a_posted_text_reaches_its_socket_unchanged(sockets):
    sockets.port.post("open", '{"type":"emergency","what":"Sirène"}')

    assert sockets.sent("open") == ['{"type":"emergency","what":"Sirène"}']


def test_a_closed_socket_is_gone(sockets):
    with pytest.raises(Gone):
        sockets.port.post("closed", "{}")


def test_a_socket_that_the_server_closed_is_gone(sockets):
    sockets.port.close("open")

    assert sockets.closed()
    with pytest.raises(Gone):
        sockets.port.post("open", "{}")


def test_closing_a_socket_is_idempotent(sockets):
    for connection in ("open", "open", "closed"):
        sockets.port.close(connection)
