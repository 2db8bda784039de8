"""Firmware that is wanted of a headset: fetched and checked, and nothing kept that is not what was wanted."""

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


class Shop(BaseHTTPRequestHandler):
    """Sells the image, and counts its customers."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200 if self.path == "/image" else 404)
        self.end_headers()
        self.wfile.write(IMAGE)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def shop() -> Iterator[str]:
    Shop.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/image"
    server.shutdown()
    server.server_close()


@pytest.fixture
def told() -> "queue.Queue[FirmwareState]":
    return queue.Queue()


@pytest.fixture
def updater(tmp_path: Path, told: "queue.Queue[FirmwareState]") -> Updater:
    return Updater(tmp_path, "1.2.3", told.put)


def firmware(url: str, **changes: Any) -> Firmware:
    good = {"version": "1.3.0", "sha256": hashlib.sha256(IMAGE).hexdigest(), "size": len(IMAGE)}
    return Firmware(**{**good, "url": url, **changes})


def test_a_firmware_that_is_what_was_wanted_is_kept_for_the_loader(
    shop: str, updater: Updater, told: Any, tmp_path: Path
) -> None:
    wanted = firmware(shop)
    assert updater.want(wanted, again=False) == FirmwareState("1.3.0", "downloading")
    assert told.get(timeout=PATIENCE_S) == FirmwareState("1.3.0", "verified")
    assert (tmp_path / "firmware.bin").read_bytes() == IMAGE
    assert updater.want(wanted, again=False) is None  # it comes with every delta
    after = Updater(tmp_path, "1.2.3", told.put)
    assert after.want(wanted, again=True) == FirmwareState("1.3.0", "verified")
    assert Shop.asked == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, "sha256: not that of what was fetched"),
        ({"size": len(IMAGE) - 1}, "size: more than the 8,999 bytes that were announced"),
        ({"size": len(IMAGE) + 1}, "size: 9,000 bytes, announced were 9,001"),
        ({"url": "/nothing"}, "HTTP 404"),
        ({"url": "http://127.0.0.1:1/image"}, "cannot be fetched"),
        ({"url": "https://[/image"}, "cannot be fetched"),
    ],
)
def test_what_is_not_what_was_wanted_is_refused_with_the_reason_and_leaves_nothing(
    shop: str, updater: Updater, told: Any, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    (tmp_path / "firmware.bin").write_bytes(b"checked before")
    url = changes.pop("url", shop)
    wanted = firmware(shop.replace("/image", url) if url[0] == "/" else url, **changes)
    updater.want(wanted, again=False)
    state = told.get(timeout=PATIENCE_S)
    assert (state.version, state.state) == ("1.3.0", "refused")
    assert reason in state.reason
    assert [path.name for path in tmp_path.iterdir()] == ["firmware.bin"]
    assert (tmp_path / "firmware.bin").read_bytes() == b"checked before"
    assert updater.want(wanted, again=False) is None


def test_an_older_firmware_is_refused_and_the_one_that_runs_is_not_fetched(
    shop: str, updater: Updater
) -> None:
    assert updater.want(firmware(shop, version="1.2.3"), again=True) is None
    state = updater.want(firmware(shop, version="1.2.2"), again=False)
    assert state == FirmwareState("1.2.2", "refused", "version: older than 1.2.3, which runs")
    assert updater.want(firmware(shop, version="1.10.0"), again=False) == FirmwareState(
        "1.10.0", "downloading"
    )


def test_what_failed_is_tried_again_when_the_headset_has_connected_anew(
    shop: str, updater: Updater, told: Any
) -> None:
    wanted = firmware(shop.replace("/image", "/nothing"))
    for _ in range(2):
        assert updater.want(wanted, again=True) == FirmwareState("1.3.0", "downloading")
        assert told.get(timeout=PATIENCE_S).state == "refused"
        assert updater._thread is not None
        updater._thread.join()
    assert Shop.asked == 2
