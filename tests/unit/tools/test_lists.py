"""The commands that list what a platform knows: tables, JSON, and following changes."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from anc_client.schemas import EmergencyEvent, Job, User
from tools.cli import listing, lists
from tools.cli.listing import Listing
from tools.cli.main import app

EVENT = EmergencyEvent(
    id="01800000000000-0123abcd",
    owner="ada",
    owner_name="ada",
    source="left",
    kind="siren",
    score=0.97,
    at=1_800_000_000.0,
    acknowledged=True,
    acknowledged_by="olga",
    acknowledged_at=1_800_000_060.0,
    comment="Fire drill,\n[hall 3].",
    commented_by="olga",
    commented_at=1_800_000_060.0,
)


def job(name: str, created: float, **fields: Any) -> Job:
    known = {"job": f"id-{name}", "state": "running", "progress": 0.25, "size": 2_000_000, "failure": ""}
    return Job(**{"name": name, "created": created, "summary": {}, "downloads": {}} | known | fields)


class FakeClient:
    """A client of a platform with one emergency, two recordings and a user; records conditions."""

    def __init__(self) -> None:
        self.conditions: dict[str, Any] = {}

    def emergencies(self, **conditions: Any) -> Iterator[EmergencyEvent]:
        self.conditions = conditions
        yield EVENT

    def jobs(self) -> Iterator[Job]:
        yield job("old", 1.0, state="failed", failure="not a sound")
        yield job("new", 2.0)

    def users(self) -> Iterator[User]:
        yield User(user="u1", name="olga", role="operator", created=1_800_000_000.0)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """Return the client that the commands use."""
    fake = FakeClient()
    monkeypatch.setattr(lists, "connected", lambda *_: nullcontext(fake))
    return fake


def anc(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result


def test_emergencies_are_shown_with_who_acknowledged_them_and_the_comment(client: FakeClient) -> None:
    shown = anc("emergencies", "--kind", "siren", "--headset", "left", "--open", "--owner", "ada").stdout

    assert "2027-01-15 08:00Z" in shown
    assert "siren" in shown
    assert "olga" in shown
    assert "Fire drill, [hall 3]." in shown
    assert client.conditions == {
        "sort": "-at",
        "kind": "siren",
        "source": "left",
        "acknowledged": "false",
        "owner": "ada",
    }


def test_no_name_of_a_user_controls_the_terminal(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    title = "\x1b]0;owned\x07"
    monkeypatch.setattr(client, "jobs", lambda: [job(f"a{title}\u202eb\n[red]c", 1.0)])
    shown = anc("jobs").stdout

    assert not {"\x1b", "\x07", "\u202e"} & {*shown}
    assert "a\ufffd]0;owned\ufffd\ufffdb\ufffd[red]c" in shown
    assert title in json.loads(anc("jobs", "--json").stdout)["jobs"][0]["name"]


@pytest.mark.parametrize(
    ("command", "field", "value"),
    [("emergencies", "comment", EVENT.comment), ("jobs", "name", "new"), ("users", "role", "operator")],
)
def test_the_lists_are_json_with_the_fields_of_the_api(
    client: FakeClient, command: str, field: str, value: str
) -> None:
    found = json.loads(anc(command, "--json", "--limit", "1").stdout)

    assert found[command][0][field] == value
    assert found["more"] is (command == "jobs")


def test_jobs_are_shown_newest_first_with_state_and_progress(client: FakeClient) -> None:
    shown = anc("jobs").stdout.splitlines()

    rows = [line.split() for line in shown if "id-" in line]
    assert [row[:4] for row in rows] == [
        ["id-new", "new", "running", "25%"],
        ["id-old", "old", "failed", "25%"],
    ]
    assert "not a sound" in shown[-1] or any("not a sound" in line for line in shown)


def test_a_list_that_continues_says_so(client: FakeClient) -> None:
    assert "The first 1 jobs" in anc("jobs", "--limit", "1").stdout


def test_a_user_and_a_url_exclude_each_other() -> None:
    refused = CliRunner().invoke(app, ["jobs", "--user", "ada", "--url", "http://127.0.0.1:1"])

    assert refused.exit_code == 2
    assert "--user" in refused.stderr


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_watched_list_is_shown_after_every_change_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    monkeypatch.setattr(listing, "console", Console(force_terminal=is_terminal, width=80))
    states = iter([["calm"], ["calm"], ["siren"], ["siren", "horn"]])
    reads = []

    def read() -> list[SimpleNamespace]:
        reads.append(1)
        return [SimpleNamespace(kind=kind) for kind in next(states)]

    def pause(_: float) -> None:
        if len(reads) == 4:
            raise KeyboardInterrupt

    kinds = Listing("kinds", {"kind": lambda each: each.kind})
    listing.show(kinds, read, limit=50, json=False, watch=True, pause=pause)
    shown = capsys.readouterr().out

    if is_terminal:
        assert "calm" in shown
        assert "horn" in shown
    else:
        assert (shown.count("calm"), shown.count("siren"), shown.count("horn")) == (1, 2, 1)
