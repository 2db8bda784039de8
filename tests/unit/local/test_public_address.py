"""The addresses of the platform: for clients and headsets, for commands, and what leaves the machine."""

from pathlib import Path

import pytest

from local import public_address
from local.data_folder import UnusableFolder
from local.public_address import InvalidName, PublicAddress, bypass_proxies, listener


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_address, "_outgoing_address", lambda: "192.168.7.5")
    monkeypatch.setattr(public_address.socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", ("10.0.0.9", 0))])


@pytest.mark.parametrize(
    ("host", "names", "expected"),
    [
        ("127.0.0.1", (), ("127.0.0.1",)),
        ("192.168.7.5", (), ("192.168.7.5",)),
        ("192.168.7.5", ("anc.example", "192.168.7.5"), ("anc.example", "192.168.7.5")),
        ("0.0.0.0", (), ("192.168.7.5", "10.0.0.9", "127.0.0.1")),
        ("0.0.0.0", ("anc.example",), ("anc.example", "192.168.7.5", "10.0.0.9", "127.0.0.1")),
    ],
)
@pytest.mark.usefixtures("interfaces")
def test_headsets_get_the_given_name_or_the_address_of_the_network_interface(
    host: str, names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    address = PublicAddress.of(host, 8080, names)
    assert (address.names, address.endpoint) == (expected, expected[0])


@pytest.mark.parametrize("name", ["", "a b", "https://anc.example", "anc.example:8080", "-a", "x" * 254])
def test_a_name_that_is_neither_host_name_nor_address_is_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="--name"):
        PublicAddress.of("127.0.0.1", 8080, [name])


@pytest.mark.parametrize(
    ("address", "url", "local_url"),
    [
        (PublicAddress.of("127.0.0.1", 8080), "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (PublicAddress.of("::1", 8080, tls=True), "https://[::1]:8080", "https://[::1]:8080"),
        (PublicAddress("0.0.0.0", 80, ("a.example",), True), "https://a.example:80", "https://127.0.0.1:80"),
        (
            PublicAddress("0.0.0.0", 80, ("a.example",), True, own_certificate=False),
            "https://a.example:80",
            "https://a.example:80",
        ),
    ],
)
def test_clients_and_commands_on_this_machine_have_urls_that_the_certificate_names(
    address: PublicAddress, url: str, local_url: str
) -> None:
    assert (address.url, address.local_url) == (url, local_url)


def test_unencrypted_http_that_leaves_the_machine_gets_a_warning() -> None:
    assert PublicAddress.of("192.168.7.5", 8080).warning.startswith(
        "REST and WebSocket at http://192.168.7.5:8080 are not encrypted"
    )
    assert [
        PublicAddress.of(host, 8080, tls=tls).warning
        for host, tls in [("127.0.0.1", False), ("127.0.0.2", False), ("::1", False), ("192.168.7.5", True)]
    ] == [""] * 4


def test_commands_read_the_address_of_the_last_start(tmp_path: Path) -> None:
    assert PublicAddress.read(tmp_path, 8080) == PublicAddress.of("127.0.0.1", 8080)
    address = PublicAddress.of("127.0.0.2", 8080, ["anc.example"], tls=True)
    address.save(tmp_path)
    assert PublicAddress.read(tmp_path, 9) == address
    assert PublicAddress.read(tmp_path, 9, 7000).port == 7000
    (tmp_path / "address.json").write_text("{")
    with pytest.raises(UnusableFolder, match="damaged"):
        PublicAddress.read(tmp_path, 9)


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_it_listens_on_ipv4_and_ipv6(host: str) -> None:
    with listener(host, 0) as listening:
        assert listening.getsockname()[0] == host


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_this_machine_is_reached_without_a_proxy_and_other_exceptions_stay(name: str) -> None:
    environ = {name: "corp.example,10.0.0.0/8"}
    bypass_proxies(environ)
    expected = "corp.example,10.0.0.0/8,localhost,127.0.0.1,::1"
    assert environ == {"no_proxy": expected, "NO_PROXY": expected}

    without_any = {name: "*"}
    bypass_proxies(without_any)
    assert without_any == {name: "*"}
