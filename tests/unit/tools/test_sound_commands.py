"""Commands on sound files, such as `anc cancel` and `anc train`: damaged files and invalid options."""

import csv
import io
import json
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
from rich.progress import Progress
from typer.testing import CliRunner, Result

from tests.processes import ANC
from tests.sounds import encoded, floats, noise
from tools.cli.main import app, scene_of

pytestmark = pytest.mark.usefixtures("command_environment")


def anc(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_a_file_name_that_the_terminal_cannot_show_does_not_end_a_command(
    tmp_path: Path, encoding: str
) -> None:
    for name in (b"\xc3\xa9.wav", b"\xe9.wav", b"\xe2\x96\x81.wav"):  # the second is no UTF-8
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(encoded(noise(), "WAV"))
    for options in ([], ["--csv"], ["--json"]):
        command = [ANC, "classify", *options, str(tmp_path)]
        environ = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(command, env=environ, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b".wav") == 3


def test_reports_and_figures_of_a_file_whose_name_is_not_utf_8_can_be_written(tmp_path: Path) -> None:
    sound = Path(os.fsdecode(bytes(tmp_path) + b"/\xe9.wav"))
    sound.write_bytes(encoded(noise(), "WAV"))
    answer = anc("cancel", str(sound), str(tmp_path / "out.wav"), "--report", str(tmp_path / "out.html"))
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "\N{REPLACEMENT CHARACTER}.wav" in (tmp_path / "out.html").read_text("utf-8")
    assert scene_of(str(sound), 1.0)[1] == "\N{REPLACEMENT CHARACTER}.wav"  # the title of a figure


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
