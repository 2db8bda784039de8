"""The `anc` command: help, readable errors, JSON output and exit codes."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import typer
from typer.testing import CliRunner, Result

from anc.services.access.identity import ALGORITHM
from anc.settings import Settings
from local.auth.certificates import Authority
from local.auth.issuer import Issuer
from local.process import free_port
from tests.processes import ANC
from tools.cli.main import app

pytestmark = pytest.mark.usefixtures("command_environment")
TOP: Any = typer.main.get_command(app)
COMMANDS = sorted(TOP.list_commands(None))


def command_lines(group: Any = TOP, *before: str) -> Iterator[list[str]]:
    """Yield the words of every command, with its group, and of groups that are commands themselves."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield [*before, name]
            yield from command_lines(command, *before, name)
        else:
            yield [*before, name]


def command_of(words: list[str]) -> Any:
    """Return a command by its words."""
    command = TOP
    for word in words:
        command = command.commands[word]
    return command


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the data folder of a platform that was started before."""
    Issuer(tmp_path / "site", Settings())
    return tmp_path / "site"


def anc(*arguments: str, environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, arguments, env=environ)


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("command", sorted(command_lines()), ids=" ".join)
def test_every_command_has_help_in_80_columns_and_a_json_option(command: list[str]) -> None:
    answer = anc(*command, "--help", environ={"COLUMNS": "80"})
    assert answer.exit_code == 0
    assert anc(*command, "-h", environ={"COLUMNS": "80"}).output == answer.output
    assert "Usage" in answer.output
    assert "--json" in answer.output
    assert max(map(len, answer.output.splitlines())) <= 80
    assert "…" not in answer.output, "truncated word"


@pytest.mark.parametrize("command", sorted(command_lines()), ids=" ".join)
def test_names_of_options_are_whole_in_60_columns(command: list[str]) -> None:
    shown = anc(*command, "--help", environ={"COLUMNS": "60"}).output
    wanted = {
        name
        for option in command_of(command).params
        for name in (*option.opts, *option.secondary_opts)
        if name.startswith("--") and not getattr(option, "hidden", False)
    }
    assert wanted - set(re.findall(r"--[a-z0-9-]+", shown)) == set()
    assert max(map(len, shown.splitlines())) <= 60


def test_each_command_is_described_on_one_line() -> None:
    shown = anc("--help", environ={"COLUMNS": "80"}).output
    for command in COMMANDS:
        assert re.search(rf"^│ {command} +[A-Z].*\. +│$", shown, re.MULTILINE), command


@pytest.mark.parametrize("role", ["listener", "operator", "admin"])
def test_a_token_is_printed_alone_and_has_the_requested_claims(site: Path, role: str) -> None:
    answer = anc("token", "--data", "site", "--user", "ann", "--role", role, "--hours", "1")
    assert answer.exit_code == 0
    token = answer.stdout.removesuffix("\n")
    key = Issuer(site, Settings()).key_for(token)
    claims = jwt.decode(token, key, [ALGORITHM], audience="anc", issuer="anc-local")
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == ("ann", role, 3600)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--user", ""],
        ["--user", "ann\n"],
        ["--user", "\ud800"],
        ["--user", "a" * 129],
        ["--role", "emperor"],
        ["--hours", "0"],
        ["--hours", "12.1"],
        ["--hours", "nan"],
        ["--hours", "10000"],
    ],
    ids=str,
)
def test_invalid_token_options_are_rejected(site: Path, wrong: list[str]) -> None:
    answer = anc("token", "--data", "site", *wrong)
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert wrong[0] in answer.stderr


@pytest.mark.parametrize(
    ("name", "text"), [("ANC_FILTER_TAPS", "5"), ("EMERGENCY_DETECTION_ENABLED", "perhaps")]
)
@pytest.mark.parametrize(
    "command",
    [["up"], ["up", "--demo"], ["demo"], ["token"], ["console"], ["headset", "--seconds", "5"]],
    ids=" ".join,
)
def test_an_invalid_setting_stops_every_command_and_is_named(
    site: Path, command: list[str], name: str, text: str
) -> None:
    before = list(site.iterdir())
    where = [] if command == ["demo"] else ["--data", "site"]
    answer = anc(*command, *where, environ={name: text})
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(f"anc: {name}={text}: must be ")
    assert list(site.iterdir()) == before, "nothing was created"


def test_settings_come_from_dotenv_and_the_environment_takes_precedence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# ours\nANC_FILTER_TAPS=5\nANC_DATA=site\n")
    Issuer(tmp_path / "site", Settings())
    assert "ANC_FILTER_TAPS=5" in anc("token").stderr
    assert anc("token", environ={"ANC_FILTER_TAPS": "512"}).exit_code == 0
    other = anc("token", environ={"ANC_FILTER_TAPS": "512", "ANC_DATA": "other"})
    assert (other.exit_code, other.stderr[:12]) == (2, "anc: other: ")


def test_a_model_that_cannot_be_loaded_prevents_the_start(tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_text("no model")
    for path in ("missing.npz", "model.npz"):
        answer = anc("up", "--data", "site", environ={"ML_MODEL_PATH": path})
        assert answer.exit_code == 2
        assert answer.stderr.startswith(f"anc: ML_MODEL_PATH: {path}: ")


@pytest.mark.parametrize(
    "file",
    ["anc.db", "issuer.pem", "certificates/ca.pem", "certificates/ca.key", "certificates/server.pem"],
)
def test_a_damaged_file_prevents_the_start_and_is_named(site: Path, file: str) -> None:
    Authority(site / "certificates")
    (site / file).write_text("damaged " * 100)
    answer = anc("up", "--data", "site", "--port", str(free_port()))
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("anc: site")
    assert Path(file).name in answer.stderr
    assert "restore" in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_a_foreign_address_prevents_the_start(host: str) -> None:
    answer = anc("up", "--data", "site", "--port", str(free_port()), "--host", host)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"anc: --host {host}: not an address of this machine")


@pytest.mark.parametrize("which", [0, 1], ids=["REST", "MQTT"])
def test_a_used_port_prevents_the_start(used_port: int, which: int) -> None:
    port = used_port - which
    answer = anc("up", "--data", "site", "--port", str(port))
    assert (answer.exit_code, answer.stdout) == (2, "")
    reasons = (
        "another program uses it already; stop it or choose another port",
        f"MQTT needs the next port, {used_port}, which another program uses already; choose another port",
    )
    assert answer.stderr == f"anc: --port {port}: {reasons[which]}\n"


def test_errors_are_printed_literally_on_one_line(tmp_path: Path) -> None:
    name = "[bold]" + "long/" * 30 + "end"
    answer = anc("up", "--data", "site", environ={"ML_MODEL_PATH": name})
    assert name in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["smoke"], ["headset", "--seconds", "5"], ["console"]], ids=" ".join)
def test_without_a_platform_the_error_shows_how_to_start_one(site: Path, command: list[str]) -> None:
    port = free_port()
    answer = anc(*command, "--port", str(port), "--data", "site")
    assert (answer.exit_code, answer.stdout) == (2, "")
    advice = f"start a platform with `anc up --port {port} --data {site}`, or set another --port"
    assert answer.stderr == f"anc: nothing answers at http://127.0.0.1:{port}; {advice}\n"


@pytest.mark.parametrize(
    "command",
    [["token"], ["console"], ["claim"], ["rename", "left", "ear"], ["headset", "--seconds", "5"], ["smoke"]],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("what", ["nothing", "a folder"])
def test_only_a_start_creates_the_data_folder_and_other_commands_name_it(
    tmp_path: Path, command: list[str], what: str
) -> None:
    if what == "a folder":
        (tmp_path / "site").mkdir()
    before = list(tmp_path.rglob("*"))
    answer = anc(*command, "--data", "site")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("anc: site: ")
    assert "start one there with `anc up`" in answer.stderr
    assert list(tmp_path.rglob("*")) == before


def test_the_default_data_folder_is_outside_the_working_folder(tmp_path: Path) -> None:
    answer = anc("token")
    folder = answer.stderr.removeprefix("anc: ").partition(": ")[0]
    assert Path(folder).is_absolute()
    assert "anc-platform" in folder
    assert not Path(folder).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        ["up", "--data", "file/x"],
        ["cost", "--write", "no/page.md"],
        ["cost", "--prices", "no.toml"],
        ["evaluate", "control", "--data", "no"],
    ],
    ids=" ".join,
)
def test_an_unusable_path_is_named(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "file").touch()
    answer = anc(*command)
    assert answer.exit_code == 2
    assert answer.stderr.startswith(f"anc: {command[-1]}")
    assert ": No such file or directory; " in answer.stderr or ": Not a directory; " in answer.stderr
    assert "check the name and your permissions" in answer.stderr


def test_an_unknown_noise_is_rejected_with_the_list_of_built_in_noises() -> None:
    answer = anc("demo", "--noise", "helicoptre")
    assert answer.exit_code == 2
    assert answer.stderr == (
        "anc: --noise helicoptre: file not found; built-in noises are cabin, engine, street\n"
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_available(shell: str) -> None:
    environ = {**os.environ, "_ANC_COMPLETE": f"source_{shell}"}
    script = subprocess.run([ANC], env=environ, capture_output=True, text=True, check=True)
    assert "_ANC_COMPLETE" in script.stdout


def test_commands_are_completed() -> None:
    words = {"_ANC_COMPLETE": "complete_bash", "COMP_WORDS": "anc can", "COMP_CWORD": "1"}
    completed = subprocess.run([ANC], env={**os.environ, **words}, capture_output=True, text=True, check=True)
    assert completed.stdout.split() == ["cancel"]
