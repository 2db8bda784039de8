"""`anc logs`: lines of all processes by time, followed over a rotation, and those of CloudWatch."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tools.cli import logs
from tools.cli.logs import CloudWatchLog, LocalLog, line_of
from tools.cli.main import app


def text(second: int, message: str, level: str = "WARNING", **fields: Any) -> str:
    at = f"2026-11-30 06:00:{second:02d},250+0000"
    return json.dumps({"level": level, "message": message, "timestamp": at, "service": "queue", **fields})


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data folder with the logs of two processes."""
    monkeypatch.setattr(logs, "require_platform", lambda data: None)
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "platform.jsonl.1").write_text(text(1, "first") + "\n")
    (folder / "platform.jsonl").write_text(text(2, "second") + "\n" + text(4, "fourth", "ERROR") + "\n")
    (folder / "live-0.jsonl").write_text(text(3, "third") + "\n")
    return tmp_path


def messages(lines: Any) -> list[str]:
    return [line.fields["message"] for line in lines]


def test_lines_of_all_processes_are_in_the_order_of_time(data: Path) -> None:
    assert messages(LocalLog(data).new()) == ["first", "second", "third", "fourth"]


def test_following_yields_each_new_line_once_also_over_a_rotation(data: Path) -> None:
    log = LocalLog(data)
    list(log.new())
    current = data / "log" / "platform.jsonl"
    with current.open("a") as file:
        file.write(text(5, "fifth") + "\n" + text(6, "half")[:20])
        file.flush()
        assert messages(log.new()) == ["fifth"]
        file.write(text(6, "half")[20:] + "\n")
    current.rename(data / "log" / "platform.jsonl.1")
    current.write_text(text(7, "seventh") + "\n")

    assert messages(log.new()) == ["half", "seventh"]
    assert messages(log.new()) == []


def test_the_command_prints_the_last_lines_of_a_level(data: Path) -> None:
    answer = CliRunner().invoke(app, ["logs", "--data", str(data), "--lines", "2", "--level", "warning"])
    assert answer.exit_code == 0, answer.output
    assert [line.split(": ", 1)[1] for line in answer.stdout.splitlines()] == ["third", "fourth"]

    answer = CliRunner().invoke(app, ["logs", "--data", str(data), "--level", "error", "--json"])
    assert [json.loads(line)["message"] for line in answer.stdout.splitlines()] == ["fourth"]


def test_a_client_cannot_write_to_the_terminal_through_the_log(data: Path) -> None:
    (data / "log" / "live-0.jsonl").write_text(text(9, "[red]\x1b[2Jgone", thing="a\rb") + "\n")
    shown = CliRunner().invoke(app, ["logs", "--data", str(data), "--lines", "1"]).stdout
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "[red]" in shown


def test_a_line_that_is_no_json_is_printed_as_it_is() -> None:
    assert line_of("Traceback\n") == (0.0, {}, "Traceback")


def test_a_timed_out_call_that_lambda_reports_is_a_warning() -> None:
    record = {"requestId": "6d68ca91", "status": "timeout", "metrics": {"durationMs": 10_000.0}}
    line = line_of(
        json.dumps({"time": "2026-11-30T06:00:01.500Z", "type": "platform.report", "record": record})
    )
    assert line.level == "warning"
    assert line.at == line_of(text(1, "before")).at + 0.25
    assert (line.fields["message"], line.fields["status"]) == ("platform.report", "timeout")


class FakeLogs:
    """The client of CloudWatch Logs, with pages of one event."""

    def __init__(self) -> None:
        self.events = {"anc-dev-iot-1": [(1, "a", text(1, "one"))], "anc-dev-rest-2": []}

    def get_paginator(self, name: str) -> "FakePages":
        return FakePages(self, name)


class FakePages:
    def __init__(self, logs: FakeLogs, name: str) -> None:
        self.logs, self.name = logs, name

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        if self.name == "describe_log_groups":
            names = [name for name in self.logs.events if name.startswith(asked["logGroupNamePrefix"])]
            return [{"logGroups": [{"logGroupName": name}]} for name in names]
        found = self.logs.events[asked["logGroupName"]]
        return [
            {"events": [{"timestamp": at, "eventId": id, "message": message}]}
            for at, id, message in found
            if at >= asked["startTime"]
        ]


def test_events_of_all_log_groups_of_a_deployment_are_read_once() -> None:
    client = FakeLogs()
    log = CloudWatchLog("anc-dev", client, since=0.0)
    assert messages(log.new()) == ["one"]

    client.events["anc-dev-rest-2"].append((5, "c", text(5, "three")))
    client.events["anc-dev-iot-1"].append((1, "b", text(4, "two")))  # at the same millisecond as the first
    assert messages(log.new()) == ["two", "three"]
    assert messages(log.new()) == []


def test_a_prefix_without_log_groups_is_refused() -> None:
    with pytest.raises(typer.Exit):
        CloudWatchLog("anc-prod", FakeLogs(), since=0.0)
