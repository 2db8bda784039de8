"""`anc service`: the unit is hardened, valid for systemd, and installed without overwriting."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tools import service_unit
from tools.cli.main import app
from tools.service_unit import InvalidService, Service, check_reachable, unit

HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
    "CapabilityBoundingSet": "",
}
COMMAND = "/opt/anc/bin/anc"
SERVICES = {
    "system": Service(COMMAND),
    "account": Service(COMMAND, run_as="daemon", port=443, options=("--host", "::", "--tls")),
    "folder": Service(
        COMMAND, run_as="daemon", data=Path("/srv/a b/100%"), options=("--name", "anc.example")
    ),
    "user": Service(COMMAND, user=True),
}


def entries(text: str) -> dict[str, list[str]]:
    """Return the values of each key of a unit."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install into folders of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(service_unit, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.setattr(service_unit, "command_path", lambda: COMMAND)
    return tmp_path


def service(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["service", *arguments])


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_accepts_the_unit(tmp_path: Path, name: str) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze on this machine")
    path = tmp_path / "anc.service"
    path.write_text(unit(SERVICES[name]._replace(command="/bin/true")))
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    verify += ["--user"] if SERVICES[name].user else []
    environ = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    checked = subprocess.run([*verify, str(path)], check=False, capture_output=True, text=True, env=environ)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_system_service_is_hardened_and_has_no_privileges() -> None:
    found = entries(unit(SERVICES["system"]))
    assert {key: found[key] for key in HARDENED} == {key: [value] for key, value in HARDENED.items()}
    assert found["DynamicUser"] == ["yes"]
    assert found["ExecStart"] == [f"{COMMAND} up --json --data %S/anc"], (
        "without a sign-in link in the journal"
    )
    assert found["StandardOutput"] == ["journal"]


def test_an_invalid_setting_does_not_restart_the_service_for_ever() -> None:
    assert entries(unit(SERVICES["system"]))["RestartPreventExitStatus"] == ["2"]


def test_a_service_of_an_account_may_use_low_ports_and_nothing_else() -> None:
    found = entries(unit(SERVICES["account"]))
    assert (found["User"], found.get("DynamicUser")) == (["daemon"], None)
    assert found["CapabilityBoundingSet"] == found["AmbientCapabilities"] == ["CAP_NET_BIND_SERVICE"]
    assert found["ExecStart"] == [f"{COMMAND} up --json --port 443 --data %S/anc --host :: --tls"]


def test_another_folder_is_the_only_one_that_the_service_writes() -> None:
    found = entries(unit(SERVICES["folder"]))
    assert found["ReadWritePaths"] == ['"/srv/a b/100%%"']
    assert found["WorkingDirectory"] == ["/srv/a b/100%%"]
    assert "StateDirectory" not in found


def test_a_service_of_a_user_needs_no_namespaces() -> None:
    found = entries(unit(SERVICES["user"]))
    assert found["NoNewPrivileges"] == ["yes"]
    assert not {"ProtectSystem", "DynamicUser", "PrivateTmp", "User"} & set(found)


@pytest.mark.parametrize("value", ["a\nExecStartPre=/bin/sh", "a\x00b"])
def test_a_value_cannot_add_lines_to_the_unit(value: str) -> None:
    with pytest.raises(InvalidService):
        unit(Service(COMMAND, options=("--name", value)))


@pytest.mark.parametrize("path", ["/home/ann/.venv/bin/anc", "/root/anc", "/tmp/anc"])
def test_a_command_that_the_service_cannot_reach_is_refused(path: str) -> None:
    with pytest.raises(InvalidService, match="cannot reach"):
        check_reachable(Service(path))
    with pytest.raises(InvalidService, match="--data"):
        check_reachable(Service(COMMAND, data=Path(path)))
    check_reachable(Service(path, user=True))


@pytest.mark.parametrize(("options", "folder"), [([], "system"), (["--user"], "config/systemd/user")])
def test_install_writes_what_show_prints(home: Path, options: list[str], folder: str) -> None:
    answer = service("install", *options)
    assert answer.exit_code == 0, answer.output
    path = home / folder / "anc.service"
    assert path.read_text() == service("show", *options).stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert f"systemctl {'--user ' * bool(options)}enable --now anc" in answer.stdout
    again = json.loads(service("install", "--json", *options).stdout)
    assert again["path"] == str(path)


def test_a_changed_unit_is_replaced_only_by_force(home: Path) -> None:
    path = home / "system" / "anc.service"
    path.parent.mkdir()
    path.write_text("mine")
    answer = service("install")
    assert answer.exit_code == 2
    assert "exists with other content" in answer.stderr
    assert path.read_text() == "mine"
    assert service("install", "--force").exit_code == 0
    assert "[Service]" in path.read_text()


@pytest.mark.parametrize(
    "wrong", [["--run-as", "a b"], ["--run-as", "anc", "--user"], ["--data", "/srv/anc"]]
)
def test_a_wrong_account_is_refused(home: Path, wrong: list[str]) -> None:
    answer = service("install", *wrong)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "--run-as" in answer.stderr
    assert list(home.iterdir()) == []
