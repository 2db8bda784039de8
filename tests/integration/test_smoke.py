"""`anc smoke` passes on a healthy platform, even behind a proxy, and fails on others with the reason."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from anc.settings import Settings
from functions.routes import REST
from local.auth.issuer import Issuer
from tests.processes import Platform
from tools.cli.main import app

DEAD_PROXY = "http://127.0.0.1:9"


def smoke(port: int | None, *more: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the JSON report."""
    where = [] if port is None else ["--port", str(port)]
    done = CliRunner().invoke(app, ["smoke", *where, "--json", *more])
    return done.exit_code, json.loads(done.stdout)


def test_the_smoke_test_covers_every_endpoint_locally_and_with_a_token(
    start: Callable[..., Platform], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = start()
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, DEAD_PROXY)
    for name in ("no_proxy", "NO_PROXY"):  # the command changes them
        monkeypatch.setenv(name, "corp.example")

    exit_code, report = smoke(None, "--data", str(platform.data))

    assert (exit_code, report["fault"]) == (0, "")
    found = {step["what"]: step["found"] for step in report["seen"]}
    assert found["endpoints"] == f"all {len(REST)} answered"
    assert "dead-letter queue" in found["dead letters"]

    token = Issuer(platform.data, Settings()).issue("root", "admin")
    url = f"http://127.0.0.1:{platform.port}"
    exit_code, report = smoke(platform.port, "--url", url, "--token", token)

    assert (exit_code, report["fault"]) == (0, "")  # as a remote platform
    assert {step["what"] for step in report["seen"]} == found.keys() - {"dead letters"}


def test_a_rejected_token_fails_the_smoke_test_with_the_reason(shared_platform: Platform) -> None:
    exit_code, report = smoke(shared_platform.port, "--token", "not-a-token")

    assert exit_code == 2
    assert report["fault"].startswith("ApiError")
    assert "token" in report["fault"]


def test_an_unreachable_address_fails_the_smoke_test(shared_platform: Platform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    exit_code, report = smoke(port, "--token", shared_platform.token("ann"))

    assert exit_code == 2
    assert report["fault"].startswith("cannot connect")
