"""The `anc` command: help, readable errors, JSON output and exit codes."""

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import jwt
import numpy as np
import pytest
import soundfile
import typer
from rich.progress import Progress
from typer.testing import CliRunner, Result

from anc.services.access.identity import ALGORITHM
from anc.settings import Settings
from local.auth.certificates import Authority
from local.auth.issuer import Issuer
from local.configuration import NAMES, SECRETS
from local.process import free_port
from tests.processes import ANC
from tests.sounds import encoded, floats, noise
from tools.cli.main import app

TOP: Any = typer.main.get_command(app)
COMMANDS = sorted(TOP.list_commands(None))


def command_lines(group: Any = TOP, *before: str) -> Iterator[list[str]]:
    """Yield the words of every command, with its group."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from command_lines(command, *before, name)
        else:
            yield [*before, name]


def command_of(words: list[str]) -> Any:
    """Return a command by its words."""
    command = TOP
    for word in words:
        command = command.commands[word]
    return command


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, so that no `.env` of this checkout is read."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the environment variables that a command sets from `.env`."""
    for name in (*NAMES, *(f"{secret}_FILE" for secret in SECRETS)):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Restore the umask, which a platform sets when it starts in this process."""
    before = os.umask(0o022)
    yield
    os.umask(before)


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


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    x = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(tmp_path / "in.wav", np.stack([x, 0.5 * x], axis=1), 8000)
    return tmp_path / "in.wav"


def test_cancel_prints_one_json_object(recording: Path) -> None:
    answer = anc("cancel", "in.wav", "out.wav", "--algorithm", "nlms", "--taps", "16", "--json")
    assert answer.exit_code == 0
    report: dict[str, Any] = json.loads(answer.stdout)
    assert (report["seconds"], report["algorithm"], report["taps"]) == (1.0, "nlms", 16)
    assert report["attenuation_db"] > 20
    assert recording.with_name("out.wav").exists()


def test_cancel_prints_a_table(recording: Path) -> None:
    answer = anc("cancel", "in.wav", "out.wav")
    assert answer.exit_code == 0
    assert "out.wav: 1.0 s" in answer.stdout
    assert "dB" in answer.stdout


@pytest.mark.parametrize(
    "wrong", [["--algorithm", "rls"], ["--taps", "0"], ["--taps", "5000"], ["--mu", "2"]], ids=" ".join
)
def test_invalid_filter_options_are_rejected_before_writing(recording: Path, wrong: list[str]) -> None:
    answer = anc("cancel", "in.wav", "out.wav", *wrong)
    assert answer.exit_code == 2
    assert wrong[0] in answer.stderr
    assert not recording.with_name("out.wav").exists()


def test_an_unreadable_recording_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "in.wav").write_text("hello")
    answer = anc("cancel", "in.wav", "out.wav", "--json")
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert "in.wav: not a sound file in a supported format" in answer.stderr


class Options(NamedTuple):
    """As `training.commands.Options`, whose packages may be missing."""

    teacher: Path | None
    seed: int
    folds: int
    steps: int | None = None
    clips: int | None = None

    def sized(self, clips: int | None, steps: int | None) -> "Options":
        return self._replace(clips=clips, steps=steps)


def test_evaluating_the_classifier_writes_an_html_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(data: list[Path], out: Path, options: Options, progress: Progress) -> dict[str, Any]:
        assert data == [Path("one"), Path("two")]
        assert options == Options(Path("yamnet.tflite"), 3, 2, 500, 40)
        (out / "model-confusion-esc10.png").write_bytes(b"\x89PNG")
        return {
            "noise": {"clip_accuracy": 0.95, "window_accuracy": 0.9},
            "alarm": {"clips_fired": {"siren": [9, 10]}, "false_alarms": {"clips": 0.02}},
        }

    commands = SimpleNamespace(evaluate=evaluate, Options=Options)
    monkeypatch.setitem(sys.modules, "training.commands", commands)
    options = [
        "--teacher",
        "yamnet.tflite",
        "--folds",
        "2",
        "--steps",
        "500",
        "--clips",
        "40",
        "--seed",
        "3",
        "--out",
        ".",
    ]
    answer = anc("evaluate", "classifier", "--data", "one", "--data", "two", *options)
    assert answer.exit_code == 0, answer.output
    assert "classifier.html" in answer.stdout
    page = (tmp_path / "classifier.html").read_text()
    assert "0.95" in page
    assert "data:image/png;base64," in page


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["train"], "--data"),
        (["train", "--data", ".", "--folds", "6"], "--folds"),
        (["train", "--data", ".", "--clips", "0"], "--clips"),
        (["train", "--data", ".", "--steps", "1000001"], "--steps"),
        (["train", "--data", ".", "--seed", "-1"], "--seed"),
        (["evaluate"], "--data: required"),
        (["evaluate", "control", "--data", ".", "--data", "."], "--data: at most one folder"),
    ],
)
def test_invalid_training_options_are_rejected(tmp_path: Path, arguments: list[str], fault: str) -> None:
    answer = anc(*arguments)
    assert answer.exit_code != 0
    assert fault in answer.stderr


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (FileNotFoundError("nowhere: no recordings"), "nowhere: no recordings"),
        (ValueError("clips.csv, row 2: use must be train"), "row 2: use must be train"),
        (BrokenProcessPool("terminated abruptly"), "memory ran out"),
    ],
)
def test_training_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, message: str
) -> None:
    def evaluate(*_: object) -> None:
        raise fault

    commands = SimpleNamespace(evaluate=evaluate, Options=Options)
    monkeypatch.setitem(sys.modules, "training.commands", commands)
    answer = anc("evaluate", "--data", ".")
    assert answer.exit_code != 0
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr


def test_unreadable_files_are_reported_and_the_others_classified(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty [1].wav").write_bytes(b"")
    (tmp_path / "scaled.wav").write_bytes(floats(np.rint(32_768 * noise())))
    (tmp_path / "good.caf").write_bytes(encoded(noise(61.0, 1, 8_000), "CAF", rate=8_000))
    files = ["empty [1].wav", "good.caf", "scaled.wav"]
    answer = anc("classify", *files)
    assert answer.exit_code == 1
    first, second = answer.stderr.splitlines()
    assert first.startswith("anc: empty [1].wav: empty (0 bytes); supported are ")
    assert second.startswith("anc: scaled.wav: floating-point samples must be within -1 to 1 ")
    assert "good.caf" in answer.stdout
    answer = anc("classify", "--json", *files)
    assert answer.exit_code == 1
    assert answer.stderr.splitlines() == [first, second]
    documents = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [document["file"] for document in documents] == [files[0], files[1], files[1], files[2]]
    assert set(documents[0]) == set(documents[3]) == {"file", "code", "error"}
    assert f"anc: {files[0]}: {documents[0]['error']}" == first
    assert [document["start_s"] for document in documents[1:3]] == [0, 60]
    assert {"label", "confidence", "emergency", "kinds"} <= set(documents[1])
    assert anc("classify", "--json", "good.caf").exit_code == 0


def test_a_recording_damaged_after_the_first_minute_is_rejected_as_a_whole(tmp_path: Path) -> None:
    samples = noise(70.0, 1, 8_000)
    samples[-1] = np.nan
    (tmp_path / "late.wav").write_bytes(encoded(samples, "WAV", "FLOAT", 8_000))
    answer = anc("classify", "--json", "late.wav")
    assert answer.exit_code == 1
    (line,) = answer.stdout.splitlines()
    assert "infinity at 70 s" in json.loads(line)["error"]


def test_a_damaged_clip_of_a_collection_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,esc10_class,esc50_class,source_id\nrain.ogg,,Rain,1")
    (tmp_path / "rain.ogg").write_bytes(b"hello")
    answer = anc("evaluate", "control", "--data", ".")
    assert answer.exit_code == 2
    assert answer.stderr.startswith("anc: rain.ogg: not a sound file")


def test_a_missing_file_is_reported_and_the_others_classified(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    answer = anc("classify", "none.wav", "in.wav")
    assert answer.exit_code == 1
    assert answer.stderr.strip() == "anc: none.wav: does not exist"
    assert "in.wav" in answer.stdout


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


def test_classify_reads_folders_and_shows_file_names_whole(tmp_path: Path) -> None:
    inside = tmp_path / "recordings of a long journey" / ("a name that is longer than a terminal " * 3)
    inside.mkdir(parents=True)
    for name in ("one.WAV", "two.flac"):
        form = "FLAC" if name.endswith("flac") else "WAV"
        (inside / name).write_bytes(encoded(noise(), form))
    (inside / "notes.txt").write_text("not a sound")
    (inside / "broken.wav").write_text("not a sound")
    shown = CliRunner().invoke(app, ["classify", str(tmp_path)])
    assert shown.exit_code == 1
    assert [line.split("  ")[0].strip() for line in shown.stdout.rstrip().splitlines()[3:]] == [
        str(inside / "one.WAV"),
        str(inside / "two.flac"),
    ]
    listed = CliRunner().invoke(app, ["classify", "--csv", str(tmp_path)])
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert [Path(row["file"]).name for row in rows] == ["broken.wav", "one.WAV", "two.flac"]
    assert rows[0]["error"].startswith("not a sound file")
    assert rows[1]["label"]
    objects = CliRunner().invoke(app, ["classify", "--json", str(tmp_path)]).stdout.splitlines()
    assert [json.loads(line)["file"] for line in objects] == [row["file"] for row in rows]
