"""The platform as a network reaches it: TLS, a certificate with its names, links and endpoints that work.

It runs on another loopback address, which no default of a client finds.
"""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from websockets.sync.client import connect

from tests.processes import ANC, PATIENCE_S, Platform

HOST = "127.0.0.2"
NAME = "anc.example"


class RemotePlatform(NamedTuple):
    """A platform and a client that trusts its authority."""

    platform: Platform
    client: httpx.Client
    trusted: ssl.SSLContext


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemotePlatform]:
    folder = tmp_path_factory.mktemp("network")
    platform = Platform(folder, "--host", HOST, "--name", NAME, "--tls")
    trusted = ssl.create_default_context(cafile=str(platform.data / "certificates" / "ca.pem"))
    headers = {"Authorization": f"Bearer {platform.token('ann')}"}
    url = f"https://{HOST}:{platform.port}"
    with httpx.Client(base_url=url, headers=headers, verify=trusted, timeout=PATIENCE_S) as client:
        yield RemotePlatform(platform, client, trusted)
    platform.stop()


def test_rest_and_websocket_use_tls_with_a_certificate_for_the_address(remote: RemotePlatform) -> None:
    answer = remote.client.get("/health")
    assert answer.status_code == 200
    assert "Strict-Transport-Security" not in answer.headers  # browsers do not know the authority
    websocket = connect(
        f"wss://{HOST}:{remote.platform.port}/ws",
        ssl=remote.trusted,
        subprotocols=["anc.v1", remote.platform.token("ann")],  # type: ignore[list-item]
        compression=None,
        open_timeout=PATIENCE_S,
        proxy=None,
    )
    with websocket:
        websocket.send('{"action": "ping"}')
        assert json.loads(websocket.recv(PATIENCE_S))["type"] == "pong"


def test_a_headset_gets_an_endpoint_whose_certificate_names_it(
    remote: RemotePlatform, tmp_path: Path
) -> None:
    device = {"thing": "h1", "secondary": [0.0, 0.5]}
    credentials = remote.client.post("/api/devices", json=device).raise_for_status().json()["credentials"]
    assert (credentials["endpoint"], credentials["port"]) == (NAME, remote.platform.port + 1)
    for name in ("certificate", "private_key"):
        (tmp_path / name).write_text(credentials[name])
    context = ssl.create_default_context(cadata=credentials["ca"])
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "private_key")
    for server_name in (NAME, HOST, "localhost"):
        with (
            socket.create_connection((HOST, credentials["port"]), PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname=server_name) as secured,
        ):
            assert secured.version() in ("TLSv1.2", "TLSv1.3")


def test_upload_links_have_the_name_that_works_outside(remote: RemotePlatform) -> None:
    upload = remote.client.post("/api/audio/uploads", json={"size": 1000}).raise_for_status().json()
    assert json.dumps(upload).count(f"https://{NAME}:{remote.platform.port}/objects/") == 1


def test_commands_on_the_machine_find_the_platform_and_its_names(remote: RemotePlatform) -> None:
    def run(command: str) -> Any:
        options = ["--json", "--port", str(remote.platform.port), "--data", str(remote.platform.data)]
        done = subprocess.run([ANC, command, *options], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    assert run("console")["url"].startswith(f"https://{HOST}:{remote.platform.port}/#code=")
    assert run("claim")["endpoint"] == NAME
