"""`anc doctor`: it finds a platform well that is, and says what is wrong with one that is not."""

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
from tools.doctor import examine_deployment, examine_machine


def states(findings: Any) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


def test_a_platform_that_is_well_is_found_well(shared_platform: Platform) -> None:
    url = f"http://127.0.0.1:{shared_platform.port}"
    found = states(examine_deployment(url, shared_platform.token("ann")))
    assert {"tables", "hearing", "clock", "description", "token", "socket"} <= set(found)
    assert set(found.values()) == {"ok"}


def test_a_token_that_is_refused_is_found(shared_platform: Platform) -> None:
    url = f"http://127.0.0.1:{shared_platform.port}"
    found = states(examine_deployment(url, shared_platform.token("ann")[:-5] + "AAAAA"))
    assert (found["token"], found["socket"], found["tables"]) == ("failing", "failing", "ok")


def test_a_platform_that_cannot_hear_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = {"status": "degraded", "checks": {"tables": "ok", "hearing": "ModelError"}}
    answers = httpx.MockTransport(lambda request: httpx.Response(200, json=deaf))
    client = functools.partial(httpx.Client, transport=answers)
    monkeypatch.setattr("tools.doctor.httpx.Client", client)
    found = states(examine_deployment("http://127.0.0.1:1", None))
    assert (found["tables"], found["hearing"]) == ("ok", "failing")


def test_an_address_where_nobody_answers_fails_with_exit_code_one() -> None:
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


def test_a_web_server_that_is_no_platform_is_told_apart(start: Callable[..., Platform]) -> None:
    found = states(examine_deployment(f"http://127.0.0.1:{start().port}/docs#", None))
    assert found["health"] == "failing"


def test_this_machine_is_examined_without_leaving_anything(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = states(examine_machine(tmp_path / "data", port, {}))
    assert found[f"port {port}"] == "look"
    assert (found["settings"], found["sounds"], found["folder"]) == ("ok", "ok", "ok")
    assert found["hearing"] in ("ok", "look")
    assert not any(tmp_path.iterdir())


def test_a_platform_s_folder_that_others_can_access_is_found_with_what_closes_it(tmp_path: Path) -> None:
    Issuer(tmp_path / "data", Settings())
    findings = {one.what: one for one in examine_machine(tmp_path / "data", 8080, {})}
    assert findings["folder"].state == "ok"
    (tmp_path / "data").chmod(0o755)
    findings = {one.what: one for one in examine_machine(tmp_path / "data", 8080, {})}
    assert findings["folder"].state == "failing"
    assert f"chmod -R go= {tmp_path / 'data'}" in findings["folder"].found


@pytest.mark.parametrize(("name", "value"), [("EMERGENCY_HOLD_S", "-1"), ("ANC_FILTER_TAPS", "many")])
def test_a_wrong_setting_is_found_and_named(tmp_path: Path, name: str, value: str) -> None:
    findings = {one.what: one for one in examine_machine(tmp_path, 8080, {name: value})}
    assert findings["settings"].state == "failing"
    assert name in findings["settings"].found
