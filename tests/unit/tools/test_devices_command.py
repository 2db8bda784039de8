"""`anc devices tag` and `anc devices remove`: requests, outcomes and exit codes."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from anc_client.schemas import DeviceOutcome, DeviceProblem
from tools.cli import devices
from tools.cli.main import app

ABSENT = DeviceProblem(code="unknown_device", detail="device: absent is not registered")
NO_TIME = DeviceProblem(code="unavailable", detail="device: not attempted; repeat the request")


class FakeClient:
    """A client of a platform that knows every headset but `absent`; records the requests.

    `per_request` headsets fit into the time of a request.
    """

    def __init__(self) -> None:
        self.tagged: list[tuple[list[str], list[str], list[str]]] = []
        self.removed: list[list[str]] = []
        self.per_request = 100

    def change_tags(
        self, things: Sequence[str], add: Sequence[str], remove: Sequence[str]
    ) -> Sequence[DeviceOutcome]:
        self.tagged.append(([*things], [*add], [*remove]))
        return self._outcomes(things, tags=[*add])

    def remove_devices(self, things: Sequence[str]) -> Sequence[DeviceOutcome]:
        self.removed.append([*things])
        return self._outcomes(things)

    def _outcomes(self, things: Sequence[str], tags: list[str] | None = None) -> Sequence[DeviceOutcome]:
        return [
            DeviceOutcome(thing=thing, changed=False, problem=ABSENT)
            if thing == "absent"
            else DeviceOutcome(thing=thing, changed=False, problem=NO_TIME)
            if k >= self.per_request
            else DeviceOutcome(thing=thing, changed=True, tags=tags)
            for k, thing in enumerate(things)
        ]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    """Return the client that the commands use."""
    fake = FakeClient()
    monkeypatch.setattr(devices, "connected", lambda *_: nullcontext(fake))
    return fake


def anc(*arguments: str, code: int = 0, answer: str | None = None) -> Any:
    result = CliRunner().invoke(app, ["devices", *arguments], input=answer)
    assert result.exit_code == code, result.output
    return result


def test_tags_are_added_and_taken_away_and_the_outcome_of_each_headset_is_shown(client: FakeClient) -> None:
    shown = anc("tag", "left", "right", "--add", "night", "--add", "hall-3", "--remove", "spare").stdout

    assert client.tagged == [(["left", "right"], ["night", "hall-3"], ["spare"])]
    rows = [line.split() for line in shown.splitlines() if "changed" in line]
    assert rows == [["left", "changed", "night", "hall-3"], ["right", "changed", "night", "hall-3"]]


@pytest.mark.parametrize("command", [("tag", "--add", "night"), ("remove", "--yes")], ids=" ".join)
def test_the_exit_code_is_1_if_a_headset_was_refused(client: FakeClient, command: tuple[str, ...]) -> None:
    done = anc(*command, "left", "absent", "--json", code=1)

    left, absent = json.loads(done.stdout)["outcomes"]
    assert (left["thing"], left["changed"], left["problem"]) == ("left", True, None)
    assert absent["problem"] == {"code": "unknown_device", "detail": ABSENT.detail}
    assert ABSENT.detail in anc(*command, "absent", code=1).stdout


def test_more_headsets_than_fit_into_a_request_get_several(client: FakeClient) -> None:
    things = [f"AX2-{k}" for k in range(150)]
    done = anc("tag", *things, things[0], "--add", "night", "--json")

    assert [batch for batch, _, _ in client.tagged] == [things[:100], things[100:]]
    assert [each["thing"] for each in json.loads(done.stdout)["outcomes"]] == things


def test_headsets_that_a_request_had_no_time_for_are_sent_again(client: FakeClient) -> None:
    client.per_request = 2
    done = anc("remove", "a", "b", "c", "d", "e", "--yes", "--json")

    assert client.removed == [["a", "b", "c", "d", "e"], ["c", "d", "e"], ["e"]]
    assert [each["changed"] for each in json.loads(done.stdout)["outcomes"]] == [True] * 5


def test_headsets_that_no_request_has_time_for_are_sent_once(client: FakeClient) -> None:
    client.per_request = 0
    done = anc("remove", "a", "b", "--yes", "--json", code=1)

    assert client.removed == [["a", "b"]]
    codes = [each["problem"]["code"] for each in json.loads(done.stdout)["outcomes"]]
    assert codes == ["unavailable", "unavailable"]


def test_what_was_done_is_printed_even_if_a_later_request_fails(
    client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = client.remove_devices

    def once(things: Sequence[str]) -> Sequence[DeviceOutcome]:
        if client.removed:
            raise typer.Exit(2)  # as `connected` does after an error of the platform
        return known(things)

    monkeypatch.setattr(client, "remove_devices", once)
    things = [f"AX2-{k}" for k in range(101)]
    done = anc("remove", *things, "--yes", "--json", code=2)

    assert [each["thing"] for each in json.loads(done.stdout)["outcomes"]] == things[:100]


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "empty", "end of input"])
def test_a_removal_that_is_not_confirmed_removes_nothing(client: FakeClient, answer: str) -> None:
    refused = anc("remove", "left", "right", "left", code=2, answer=answer)

    assert "Remove 2 headsets?" in refused.stderr
    assert "cannot be undone" in refused.stderr
    assert "no headset was removed" in refused.stderr
    assert (refused.stdout, client.removed) == ("", [])


def test_the_question_does_not_disturb_json(client: FakeClient) -> None:
    done = anc("remove", "left", "--json", answer="y\n")

    assert json.loads(done.stdout)["outcomes"][0]["changed"] is True
    assert client.removed == [["left"]]


def test_a_change_without_tags_is_refused(client: FakeClient) -> None:
    assert "requires --add or --remove" in anc("tag", "left", code=2).stderr
    assert client.tagged == []


@pytest.mark.parametrize(
    "command",
    [
        ("devices", "--tag", "night", "remove", "left", "--yes"),
        ("devices", "--offline", "remove", "left", "--yes"),
        ("devices", "--limit", "5", "tag", "left", "--add", "night"),
        ("rollouts", "--limit", "5", "cancel", "01796032800000-5f0c2d1e"),
    ],
    ids=" ".join,
)
def test_a_filter_of_the_list_does_not_look_as_if_it_applied_to_a_command(
    client: FakeClient, command: tuple[str, ...]
) -> None:
    refused = CliRunner().invoke(app, command)

    assert refused.exit_code == 2
    assert command[1] in refused.stderr.partition(": applies to the list")[0]
    assert (client.removed, client.tagged) == ([], [])
