"""`anc backup` and `anc restore`: a backup under writes starts elsewhere and shows the same."""

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ANC, Platform, until


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    (tmp_path / "first").mkdir()
    started = Platform(tmp_path / "first", RATE_LIMIT_SCALE="1000")
    yield started
    started.kill()


def test_a_backup_of_a_busy_platform_starts_elsewhere_and_shows_the_same(
    platform: Platform, tmp_path: Path
) -> None:
    written: list[str] = []
    stop = threading.Event()
    platform.token("ann")

    def write() -> None:
        while not stop.is_set() and len(written) < 90:
            thing = f"left-{len(written)}"
            device = {"thing": thing, "secondary": [0.0, 0.5]}
            status, _ = platform.request("POST", "/api/devices", device, user="ann")
            if status != 201:
                return
            written.append(thing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: len(written) > 3 or not writer.is_alive())
        assert writer.is_alive()
        acknowledged = list(written)
        archive = tmp_path / "anc.zip"
        command = [ANC, "backup", str(archive), "--data", str(platform.data), "--json"]
        assert json.loads(subprocess.check_output(command, cwd=tmp_path))["files"] > 5
    finally:
        stop.set()
        writer.join()
    second = tmp_path / "second"
    second.mkdir()
    command = [ANC, "restore", str(archive), "--data", str(second / "data")]
    subprocess.run(command, check=True, cwd=tmp_path)
    before = {each["thing"]: each for each in _devices(platform)}
    restored = Platform(second)
    try:
        restored.tokens = platform.tokens  # signed with the key of the first one
        after = {each["thing"]: each for each in _devices(restored)}
    finally:
        restored.kill()
    assert set(acknowledged) <= set(after) <= set(written)
    assert all(device == before[thing] for thing, device in after.items())


def _devices(platform: Platform) -> list[dict[str, object]]:
    status, answer = platform.request("GET", "/api/devices?limit=100", user="ann")
    assert status == 200, answer
    devices: list[dict[str, object]] = answer["devices"]
    return devices
