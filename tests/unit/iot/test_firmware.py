"""Firmware updates of the headset: download, verification, refusals."""

import hashlib
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from anc.schemas.shadow import Firmware, FirmwareState
from iot.firmware import Updater
from tests.processes import PATIENCE_S

IMAGE = b"firmware " * 1000


class ImageServer(BaseHTTPRequestHandler):
    """Serves the image and counts requests."""

    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        self.send_response(200 if self.path == "/image" else 404)
        self.end_headers()
        self.wfile.write(IMAGE)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server_url() -> Iterator[str]:
    ImageServer.requests = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), ImageServer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/image"
    server.shutdown()
    server.server_close()


@pytest.fixture
def states() -> "queue.Queue[FirmwareState]":
    return queue.Queue()


@pytest.fixture
def updater(tmp_path: Path, states: "queue.Queue[FirmwareState]") -> Updater:
    return Updater(tmp_path, "1.2.3", states.put)


def firmware(url: str, **changes: Any) -> Firmware:
    good = {"version": "1.3.0", "sha256": hashlib.sha256(IMAGE).hexdigest(), "size": len(IMAGE)}
    return Firmware(**{**good, "url": url, **changes})


def test_a_verified_firmware_is_stored_for_the_boot_loader(
    server_url: str, updater: Updater, states: Any, tmp_path: Path
) -> None:
    requested = firmware(server_url)
    assert updater.request(requested, retry=False) == FirmwareState("1.3.0", "downloading")
    assert states.get(timeout=PATIENCE_S) == FirmwareState("1.3.0", "verified")
    assert (tmp_path / "firmware.bin").read_bytes() == IMAGE
    assert updater.request(requested, retry=False) is None  # repeated in every delta
    after = Updater(tmp_path, "1.2.3", states.put)
    assert after.request(requested, retry=True) == FirmwareState("1.3.0", "verified")
    assert ImageServer.requests == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, "sha256: does not match the download"),
        ({"size": len(IMAGE) - 1}, "size: the download exceeds the expected 8,999 bytes"),
        ({"size": len(IMAGE) + 1}, "size: expected 9,001 bytes (got 9,000)"),
        ({"url": "/nothing"}, "HTTP 404"),
        ({"url": "http://127.0.0.1:1/image"}, "download failed"),
        ({"url": "https://[/image"}, "download failed"),
    ],
)
def test_an_invalid_download_is_refused_with_the_reason_and_deleted(
    server_url: str, updater: Updater, states: Any, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    (tmp_path / "firmware.bin").write_bytes(b"verified before")
    url = changes.pop("url", server_url)
    requested = firmware(server_url.replace("/image", url) if url[0] == "/" else url, **changes)
    updater.request(requested, retry=False)
    state = states.get(timeout=PATIENCE_S)
    assert (state.version, state.state) == ("1.3.0", "refused")
    assert reason in state.reason
    assert [path.name for path in tmp_path.iterdir()] == ["firmware.bin"]
    assert (tmp_path / "firmware.bin").read_bytes() == b"verified before"
    assert updater.request(requested, retry=False) is None


def test_an_older_firmware_is_refused_and_the_running_one_is_not_downloaded(
    server_url: str, updater: Updater
) -> None:
    assert updater.request(firmware(server_url, version="1.2.3"), retry=True) is None
    state = updater.request(firmware(server_url, version="1.2.2"), retry=False)
    assert state == FirmwareState("1.2.2", "refused", "version must be newer than the running version 1.2.3")
    assert updater.request(firmware(server_url, version="1.10.0"), retry=False) == FirmwareState(
        "1.10.0", "downloading"
    )


def test_a_failed_download_is_retried_after_a_reconnect(
    server_url: str, updater: Updater, states: Any
) -> None:
    requested = firmware(server_url.replace("/image", "/nothing"))
    for _ in range(2):
        assert updater.request(requested, retry=True) == FirmwareState("1.3.0", "downloading")
        assert states.get(timeout=PATIENCE_S).state == "refused"
        assert updater._thread is not None
        updater._thread.join()
    assert ImageServer.requests == 2
