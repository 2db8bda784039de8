"""The AsyncAPI document in `docs` is that of the code, valid, and describes every message."""

import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from anc.schemas import claim, websocket
from anc.schemas.asyncapi import document
from functions import headset_rights

HERE = Path(__file__).parent
WRITTEN = HERE.parents[2] / "docs" / "asyncapi.json"


def test_the_asyncapi_document_in_the_docs_is_that_of_the_code() -> None:
    assert json.loads(WRITTEN.read_text()) == document(), (
        "python -m anc.schemas.asyncapi > docs/asyncapi.json"
    )


def test_the_document_is_valid_asyncapi() -> None:
    schema = json.loads((HERE / "data" / "asyncapi-3.0.0.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    assert [error.message for error in validator.iter_errors(document())] == []
    wrong = document()
    del wrong["info"]["title"]
    assert not validator.is_valid(wrong), "the schema finds what is missing"


def test_the_document_is_the_same_on_every_version_of_python() -> None:
    """Up to Python 3.12 a docstring keeps the indentation of its source."""
    described = [schema.get("description", "") for schema in document()["components"]["schemas"].values()]
    assert any("\n" in text for text in described)
    assert [text for text in described if text != inspect.cleandoc(text)] == []


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(
            {value["$ref"]} if isinstance(value.get("$ref"), str) else set(), *map(references, value.values())
        )
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_every_reference_leads_somewhere() -> None:
    whole = document()
    for reference in references(whole):
        place: Any = whole
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_topic_of_a_headset_is_described() -> None:
    thing = "{thing}"
    verbs = ("get/accepted", "get/rejected", "update/accepted", "update/rejected", "update/delta")
    answers = {f"$aws/things/{thing}/shadow/name/anc/{verb}" for verb in verbs}
    jobs = f"$aws/things/{thing}/jobs"
    answers |= {f"{jobs}/{end}" for end in ("notify-next", "start-next/accepted", "start-next/rejected")}
    assert all(headset_rights.may_subscribe(thing, answer) for answer in answers)
    published = {topic.replace("*", "{job}") for topic in headset_rights.publish_topics(thing)}
    used = published | answers
    used |= {*claim.request_topics(), *claim.response_topics()}
    described = {channel["address"] for channel in document()["channels"].values()}
    assert described == used | {"/ws"}


def test_every_frame_that_the_code_knows_is_described() -> None:
    frames = {
        kind.__name__ for base in (websocket.Request, websocket.Response) for kind in base.__subclasses__()
    }
    assert frames == set(document()["channels"]["socket"]["messages"])


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (websocket.Start(), "Start"),
        (websocket.Set("s", enabled=True, intensity=0.5), "Set"),
        (websocket.SetDone("s", True, 0.5), "SetDone"),
        (websocket.Stopped("s", websocket.Summary(1, 0.1, 0, None)), "Stopped"),
        (websocket.Error("stale_seq", "seq: 1", 1), "Error"),
        (websocket.Pong(), "Pong"),
    ],
)
def test_a_frame_as_it_is_sent_fits_its_schema(frame: msgspec.Struct, kind: str) -> None:
    whole = document()
    schema = {"$ref": f"#/components/schemas/{kind}", "components": whole["components"]}
    jsonschema_rs.validate(schema, json.loads(msgspec.json.encode(frame)))
