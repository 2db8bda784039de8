"""JSON from outside: whatever it holds, it is read or refused by name, and never exhausts the stack."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anc.schemas.claim import Registration, SigningRequest
from anc.schemas.path import MeasuredPath
from anc.schemas.refusal import MAX_DEPTH, Refused, check_depth, parse_json
from anc.schemas.shadow import DOCUMENT_LIMIT, Desired
from anc.schemas.telemetry import TelemetryReport
from local.mqtt.shadows import LocalShadows, UpdateRequest
from local.storage.database import Database

KINDS = [
    dict[str, Any],
    list[Any],
    Desired,
    UpdateRequest,
    TelemetryReport,
    MeasuredPath,
    SigningRequest,
    Registration,
]
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


def nested(levels: int, kind: str) -> str:
    opening, closing = {"list": ("[", "]"), "object": ('{"a":', "}"), "mixed": ('[{"a":', "}]")}[kind]
    return opening * levels + "1" + closing * levels


@pytest.mark.parametrize("kind", ["list", "object", "mixed"])
@pytest.mark.parametrize("levels", [33, 400, 900, 1100, 100_000])
def test_a_document_that_nests_too_deep_is_refused_with_the_limit(kind: str, levels: int) -> None:
    text = nested(levels, kind)
    with pytest.raises(Refused, match=r"nested deeper than 32 levels") as refusal:
        parse_json(text, Any)
    assert refusal.value.code == "bad_json"
    for each in KINDS:
        with pytest.raises(Refused):
            parse_json(text, each)


def test_brackets_in_strings_are_no_depth() -> None:
    text = json.dumps({"a": '[{"\\' * 200, "b": ["[", '"[', "\\"]})
    assert parse_json(text, dict[str, Any]) == json.loads(text)
    flat = json.dumps([{"a": 1}] * 500)
    assert len(parse_json(flat, list[Any])) == 500


@settings(deadline=None)
@given(value=json_values)
def test_the_depth_of_any_document_is_what_it_nests(value: Any) -> None:
    def depth(part: Any) -> int:
        below = part.values() if isinstance(part, dict) else part if isinstance(part, list) else None
        return 0 if below is None else 1 + max(map(depth, below), default=0)

    text = json.dumps(value)
    check_depth(text, depth(value))
    if depth(value):
        with pytest.raises(Refused):
            check_depth(text, depth(value) - 1)


@settings(deadline=None)
@given(data=st.binary(max_size=200), where=st.integers(0, 300))
def test_mutated_documents_are_read_or_refused(data: bytes, where: int) -> None:
    whole = json.dumps({"state": {"reported": {"mode": "cancel", "a": [[[{}]]]}}, "version": 3}).encode()
    for text in (data, whole[:where] + data + whole[where:], data * MAX_DEPTH):
        for kind in KINDS:
            assert code_of(text, kind) in ("", "bad_json", "bad_field")


def code_of(text: bytes, kind: Any) -> str:
    try:
        parse_json(text, kind)
    except Refused as refusal:
        return refusal.code
    return ""


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(levels=st.integers(0, 1600), kind=st.sampled_from(["list", "object", "mixed"]))
def test_a_shadow_document_of_any_depth_is_answered(tmp_path: Path, levels: int, kind: str) -> None:
    answers: list[tuple[str, bytes]] = []
    shadows = LocalShadows(Database(tmp_path / "anc.db"), lambda *answer: answers.append(answer))
    text = '{"state": {"reported": {"a": ' + nested(levels, kind) + "}}}"
    taken = shadows.request("left", "update", text.encode())
    deep = 2 * levels if kind == "mixed" else levels
    assert taken == (deep < 8 and len(text) <= DOCUMENT_LIMIT)
    verbs = {topic.rpartition("/")[2] for topic, _ in answers}
    assert verbs == ({"accepted"} if taken else {"rejected"})


def test_a_refusal_reaches_another_process_whole() -> None:
    again = pickle.loads(pickle.dumps(Refused("too_large", "a.wav: too long", 3)))
    assert (again.code, again.message, again.wait_s) == ("too_large", "a.wav: too long", 3)
