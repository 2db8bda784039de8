"""The device shadow service on one machine, as documented by AWS IoT."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc.schemas.refusal import Refused
from local.mqtt.shadows import LocalShadows, difference, merge, shadow_prefix
from local.storage.database import Database

PREFIX = shadow_prefix("h1")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9),
    lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3) | st.lists(below, max_size=2),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


def nested(depth: int) -> dict[str, Any]:
    """Return an update with a reported section of this nesting depth."""
    section: dict[str, Any] = {}
    for _ in range(depth - 1):
        section = {"a": section}
    return {"state": {"reported": section}}


class Service:
    """Empty shadows, and the messages that they publish."""

    def __init__(self, folder: Path) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.shadows = LocalShadows(Database(folder / "anc.db"), self._publish)

    def _publish(self, topic: str, payload: bytes) -> None:
        self.published.append((topic.removeprefix(PREFIX), json.loads(payload)))

    def send(self, operation: str, document: Any = None) -> list[tuple[str, dict[str, Any]]]:
        """Send a request of the headset; return the published messages."""
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        before = len(self.published)
        self.shadows.request("h1", operation, payload)
        return self.published[before:]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_a_get_without_a_shadow_is_rejected(service: Service):
    [(topic, answer)] = service.send("get", b"")
    assert topic == "get/rejected"
    assert answer["code"] == 404


def test_a_desired_change_is_published_as_a_delta(service: Service):
    service.shadows.update("h1", {"mode": "cancel", "intensity": 1.0})
    assert [topic for topic, _ in service.published] == ["update/accepted", "update/delta"]
    delta = service.published[-1][1]
    assert delta["state"] == {"mode": "cancel", "intensity": 1.0}
    assert delta["version"] == 1


def test_reported_fields_are_removed_from_the_delta(service: Service):
    service.shadows.update("h1", {"mode": "cancel", "intensity": 1.0})
    answers = service.send("update", {"state": {"reported": {"mode": "cancel"}}})
    assert [topic for topic, _ in answers] == ["update/accepted", "update/delta"]
    assert answers[1][1]["state"] == {"intensity": 1.0}
    answers = service.send("update", {"state": {"reported": {"intensity": 1.0}}})
    assert [topic for topic, _ in answers] == ["update/accepted"]


def test_get_returns_desired_reported_and_delta(service: Service):
    service.shadows.update("h1", {"mode": "cancel"})
    service.send("update", {"state": {"reported": {"mode": "bypass"}}})
    [(topic, answer)] = service.send("get", {"clientToken": "t"})
    assert topic == "get/accepted"
    assert answer["state"] == {
        "desired": {"mode": "cancel"},
        "reported": {"mode": "bypass"},
        "delta": {"mode": "cancel"},
    }
    assert answer["version"] == 2
    assert answer["clientToken"] == "t"


def test_null_removes_a_field_and_a_section(service: Service):
    service.send("update", {"state": {"reported": {"a": {"b": 1, "c": 2}}, "desired": {"x": 1}}})
    service.send("update", {"state": {"reported": {"a": {"b": None}}, "desired": None}})
    assert service.shadows.get("h1")["state"] == {"reported": {"a": {"c": 2}}}


def test_an_update_of_an_older_version_is_a_conflict_and_changes_nothing(service: Service):
    service.shadows.update("h1", {"mode": "cancel"})
    [(topic, answer)] = service.send(
        "update", {"version": 0, "state": {"reported": {"mode": "bypass"}}, "clientToken": "t"}
    )
    assert (topic, answer["code"], answer["clientToken"]) == ("update/rejected", 409, "t")
    assert service.shadows.get("h1") == {
        "state": {"desired": {"mode": "cancel"}, "delta": {"mode": "cancel"}},
        "version": 1,
    }
    assert (
        service.send("update", {"version": 1, "state": {"reported": {"mode": "bypass"}}})[0][0]
        == "update/accepted"
    )


def test_a_shadow_has_at_most_8_kilobytes(service: Service):
    overhead = len(json.dumps({"reported": {"a": ""}}, separators=(",", ":")))
    assert (
        service.send("update", {"state": {"reported": {"a": "x" * (8000 - overhead)}}})[0][0]
        == "update/accepted"
    )
    [(topic, answer)] = service.send("update", {"state": {"reported": {"b": "y" * 200}}})
    assert (topic, answer["code"]) == ("update/rejected", 413)
    assert "b" not in service.shadows.get("h1")["state"]["reported"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 8000, 400),
        ({"state": {"unknown": {}}}, 400),
        ({"state": {"reported": 3}}, 400),
        ({}, 400),
        (nested(9), 400),
        (b" " * 8193, 413),
    ],
)
def test_a_bad_request_is_refused_with_its_code_and_changes_nothing(
    service: Service, document: Any, code: int
):
    [(topic, answer)] = service.send("update", document)
    assert topic == "update/rejected"
    assert answer["code"] == code
    assert service.shadows.get("h1") is None


def test_eight_levels_are_not_too_deep(service: Service):
    assert service.send("update", nested(8))[0][0] == "update/accepted"


def test_a_port_update_that_is_too_large_is_refused_and_publishes_nothing(service: Service):
    with pytest.raises(Refused, match="at most 8,192"):
        service.shadows.update("h1", {"filter": "f" * 8200})
    assert service.published == []


def test_shadows_survive_a_restart(service: Service, tmp_path: Path):
    service.shadows.update("h1", {"mode": "cancel"})
    assert Service(tmp_path).shadows.get("h1")["version"] == 1


@given(objects, objects)
def test_reporting_the_delta_clears_it(desired: dict, reported: dict):
    desired, reported = merge({}, desired), merge({}, reported)  # nulls removed, as stored
    assert difference(desired, merge(reported, difference(desired, reported))) == {}
    assert difference(desired, desired) == {}


@given(objects, objects)
def test_an_update_is_idempotent(old: dict, change: dict):
    once = merge(merge({}, old), change)
    assert merge(once, change) == once
