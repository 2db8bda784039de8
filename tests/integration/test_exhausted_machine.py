"""A platform without disk space or file descriptors says so, loses nothing, and recovers by itself."""

import resource
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.processes import Platform, until
from tests.untrained_models import untrained_model


@pytest.fixture
def platform(start: Callable[..., Platform], tmp_path: Path) -> Platform:
    model = untrained_model(tmp_path / "calm.npz", alarm=False)
    return start(ML_MODEL_PATH=str(model))


@contextmanager
def limited(platform: Platform, what: int, limit: int) -> Iterator[None]:
    """Lower a limit of the running platform, and restore it."""
    before = resource.prlimit(platform.process.pid, what)
    resource.prlimit(platform.process.pid, what, (limit, before[1]))
    yield
    resource.prlimit(platform.process.pid, what, before)


def test_without_disk_space_writes_are_refused_and_all_recovers(platform: Platform) -> None:
    opened = [platform.request("POST", "/api/sessions", {}, user="ann")[1]["session"]]
    with limited(platform, resource.RLIMIT_FSIZE, 4096):  # no file of the platform can grow
        status, problem = platform.request("POST", "/api/sessions", {}, user="ann")
        assert (status, problem["code"]) == (503, "unavailable"), problem
        assert "nothing was stored" in problem["detail"]
        until(lambda: platform.request("GET", "/health")[0] == 503)
        with pytest.raises(InvalidStatus) as refused:
            platform.connect("ann")
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"]
        assert platform.request("GET", "/api/sessions", user="ann")[0] == 200, "reads go on"
    assert platform.request("GET", "/health")[1]["ready"]
    opened.append(platform.request("POST", "/api/sessions", {}, user="ann")[1]["session"])
    with platform.connect("ann") as socket:
        assert socket.ask(action="ping") == {"type": "pong"}
    listed = platform.request("GET", "/api/sessions", user="ann")[1]["sessions"]
    assert sorted(each["session"] for each in listed) == sorted(opened)


def test_without_file_descriptors_it_stays_alive_and_recovers(platform: Platform) -> None:
    platform.token("ann")
    with limited(platform, resource.RLIMIT_NOFILE, 8):  # fewer than are open
        with pytest.raises((OSError, urllib.error.URLError)):
            urllib.request.urlopen(f"http://127.0.0.1:{platform.port}/health", timeout=1)
        assert platform.process.poll() is None
    until(lambda: platform.request("GET", "/health")[0] == 200)
    assert platform.request("POST", "/api/sessions", {}, user="ann")[0] == 201
