"""`anc doctor` passes a healthy platform and reports what is wrong with others."""

import functools
import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from anc.settings import Settings
from local.auth.issuer import Issuer
from tests.processes import ANC, Platform
from tools.doctor import check_deployment, check_machine


def states(findings: Any) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


def test_a_healthy_platform_passes_every_check(shared_platform: Platform) -> None:
    url = f"http://127.0.0.1:{shared_platform.port}"
    found = states(check_deployment(url, shared_platform.token("ann")))
    assert {"tables", "classifier", "clock", "description", "token", "socket"} <= set(found)
    assert set(found.values()) == {"ok"}


def test_a_rejected_token_is_reported(shared_platform: Platform) -> None:
    url = f"http://127.0.0.1:{shared_platform.port}"
    found = states(check_deployment(url, shared_platform.token("ann")[:-5] + "AAAAA"))
    assert (found["token"], found["socket"], found["tables"]) == ("failing", "failing", "ok")


def test_a_platform_without_a_classifier_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    degraded = {"status": "degraded", "checks": {"tables": "ok", "classifier": "ModelError"}}
    answers = httpx.MockTransport(lambda request: httpx.Response(200, json=degraded))
    client = functools.partial(httpx.Client, transport=answers)
    monkeypatch.setattr("tools.doctor.httpx.Client", client)
    found = states(check_deployment("http://127.0.0.1:1", None))
    assert (found["tables"], found["classifier"]) == ("ok", "failing")


def test_an_unreachable_address_exits_with_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = subprocess.run(
        [ANC, "doctor", "--url", f"http://127.0.0.1:{port}", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert [finding["what"] for finding in json.loads(done.stdout)] == ["reachable"]


def test_a_web_server_that_is_not_the_platform_is_reported(start: Callable[..., Platform]) -> None:
    found = states(check_deployment(f"http://127.0.0.1:{start().port}/docs#", "token"))
    assert (found["health"], found["token"]) == ("failing", "failing")


def test_checking_this_machine_creates_no_files(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = states(check_machine(tmp_path / "data", port, {}))
    assert found[f"port {port}"] == "warning"
    assert (found["settings"], found["audio formats"], found["data folder"]) == ("ok", "ok", "ok")
    assert found["classifier"] in ("ok", "warning")
    assert not any(tmp_path.iterdir())


def test_a_data_folder_that_others_can_access_is_reported_with_the_fix(tmp_path: Path) -> None:
    Issuer(tmp_path / "data", Settings())
    findings = {one.what: one for one in check_machine(tmp_path / "data", 8080, {})}
    assert findings["data folder"].state == "ok"
    (tmp_path / "data").chmod(0o755)
    findings = {one.what: one for one in check_machine(tmp_path / "data", 8080, {})}
    assert findings["data folder"].state == "failing"
    assert f"chmod -R go= {tmp_path / 'data'}" in findings["data folder"].found


@pytest.mark.parametrize(("name", "value"), [("EMERGENCY_HOLD_S", "-1"), ("ANC_FILTER_TAPS", "many")])
def test_an_invalid_setting_is_reported_by_name(tmp_path: Path, name: str, value: str) -> None:
    findings = {one.what: one for one in check_machine(tmp_path, 8080, {name: value})}
    assert findings["settings"].state == "failing"
    assert name in findings["settings"].found
