"""The delta ends after one report of what docs/protocol.md shows; the former report is still accepted."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.mqtt.shadows import LocalShadows
from local.storage.database import Database

PAGE = (Path(__file__).parents[4] / "docs" / "protocol.md").read_text()
PREFIX = "$aws/things/h1/shadow/name/anc/"
FORMER = {"mode": "cancel", "intensity": 1.0, "filter": "df3f619804a92fdb", "seq": 7, "attenuation_db": 13.1}


def examples(kind: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(rf"^```json {kind}$(.*?)^```$", PAGE, re.M | re.S)]


class Shadow:
    """The shadow of `h1`, and the messages that it published."""

    def __init__(self, folder: Path) -> None:
        self.published: list[tuple[str, Any]] = []
        self._shadows = LocalShadows(
            Database(folder / "anc.db"),
            lambda topic, payload: self.published.append((topic.removeprefix(PREFIX), json.loads(payload))),
        )

    def desire(self, state: dict[str, Any]) -> None:
        self._shadows.update("h1", state)

    def report(self, state: dict[str, Any]) -> list[str]:
        """Return the topics of the answers."""
        self.published.clear()
        self._shadows.request("h1", "update", json.dumps({"state": {"reported": state}}).encode())
        return [topic for topic, _ in self.published]


@pytest.fixture
def shadow(tmp_path: Path) -> Shadow:
    return Shadow(tmp_path)


@pytest.mark.parametrize(
    ("desired", "reported"), [*zip(examples("desired"), examples("reported"), strict=True)]
)
def test_the_delta_is_empty_after_one_report_of_what_the_page_shows(
    shadow: Shadow, desired: dict[str, Any], reported: dict[str, Any]
) -> None:
    shadow.desire(desired)
    assert shadow.published[-1][0] == "update/delta"
    assert shadow.report(reported) == ["update/accepted"]


def test_a_headset_with_the_former_report_gets_its_whole_filter(shadow: Shadow) -> None:
    [desired, _] = examples("desired")
    shadow.desire(desired)
    assert shadow.report(FORMER) == ["update/accepted", "update/delta"]
    shadow.desire({"filter": {**desired["filter"], "seq": 8}})
    assert shadow.published[-1][1]["state"]["filter"] == {**desired["filter"], "seq": 8}


def test_a_mode_that_does_not_exist_is_refused(shadow: Shadow) -> None:
    assert shadow.report({"mode": "louder"}) == ["update/rejected"]
    [(_, answer)] = shadow.published
    assert answer["code"] == 400
    assert answer["message"].startswith("reported.mode: must be one of bypass, cancel, transparency")
