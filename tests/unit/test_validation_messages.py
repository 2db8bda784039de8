"""Validation errors name the field and what is allowed, and never show how this is programmed."""

import inspect
import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.inspect import type_info
from pydantic import ValidationError

from anc.patterns import description
from anc.schemas import claim, path, shadow, telemetry, websocket
from anc.schemas.refusal import Refused, parse_json
from anc.schemas.rest import requests
from anc.settings import BadSetting, Settings
from anc.validation_messages import pydantic_sentence

MESSAGES = [
    *get_args(websocket.AnyRequest),
    websocket.AnyRequest,
    claim.SigningRequest,
    claim.Registration,
    claim.Claim,
    path.MeasuredPath,
    shadow.Desired,
    shadow.Reported,
    telemetry.TelemetryReport | list[telemetry.TelemetryReport],
]
BODIES = [
    body
    for _, body in inspect.getmembers(requests, inspect.isclass)
    if issubclass(body, requests.Body) and body is not requests.Body
]
TELLTALES = ("^", "\\", "regex", "pattern", "expected `", "instance of", "pydantic", "msgspec", "struct")
CLASSES = {each.__name__ for each in BODIES} | {"NoneType", "dict", "int", "str", "float", "bool", "list"}
# Values that break every kind of rule: type, bounds, length, choice and format.
WRONG: list[Any] = [
    None, True, -1, 0, 0.5, 1e12, 2**60, "", "a b", "x" * 5000, [], [None], ["a b"] * 60, [5e9], {}, {"a": 1},
    {"version": "x", "url": "ftp://x", "sha256": "x", "size": 0},
    {"version": "1.2.3", "url": "x", "sha256": "0" * 64, "size": 1},
    {"version": "1.2.3", "url": "https://x/y", "sha256": "x", "size": 1},
    {"id": "x", "seq": 0, "rate": 8000, "taps": 1, "dtype": "f64", "data": "", "sha256": ""},
    {"private": "yes", "snapshot_interval_s": 1}, {"mode": "loud", "taps": 0},
]  # fmt: skip


def check(sentence: str) -> None:
    """Fail if the sentence shows an expression, a library or a class of Python."""
    assert not [telltale for telltale in TELLTALES if telltale in sentence.lower()], sentence
    assert not CLASSES & set(sentence.replace(":", " ").split()), sentence
    assert "has a wrong format" not in sentence, sentence
    assert "not allowed" not in sentence, sentence


def refusal(document: Any, kind: Any) -> str:
    try:
        parse_json(json.dumps(document), kind)
    except Refused as refused:
        return refused.message
    return ""


def fields(kind: Any) -> list[str]:
    info = type_info(kind)
    structs = info.types if isinstance(info, msgspec.inspect.UnionType) else [info]
    return [field.encode_name for each in structs for field in getattr(each, "fields", ())]


@pytest.mark.parametrize("kind", MESSAGES, ids=str)
def test_every_refusal_of_a_message_is_a_sentence(kind):
    tag = getattr(getattr(kind, "__struct_config__", None), "tag", None)
    given = {"action": tag} if tag else {}
    found = [refusal(given | {name: wrong}, kind) for name in [*fields(kind), "action"] for wrong in WRONG]
    found += [refusal(wrong, kind) for wrong in WRONG]

    assert any(found)
    for sentence in found:
        check(sentence)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_every_refusal_of_a_request_body_is_a_sentence(body):
    documents = [*WRONG, *({name: wrong} for name in body.model_fields for wrong in WRONG)]
    for document in documents:
        try:
            body.model_validate(document)
        except ValidationError as fault:
            for error in fault.errors():
                check(pydantic_sentence(error, error["loc"]))


def test_every_pattern_has_a_description():
    def patterns(schema: Any) -> set[str]:
        if isinstance(schema, list):
            return set().union(*map(patterns, schema))
        if not isinstance(schema, dict):
            return set()
        own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
        return own.union(*map(patterns, schema.values()))

    found = patterns([msgspec.json.schema_components([*MESSAGES, Settings])[1]])
    found |= patterns([body.model_json_schema() for body in BODIES])

    assert len(found) > 5
    assert [pattern for pattern in found if not description(pattern)] == []


@settings(max_examples=200, deadline=None)
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from(["", "cancel", "a b"]),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*{name for kind in MESSAGES for name in fields(kind)}]), inner),
        max_leaves=8,
    ),
    kind=st.sampled_from(MESSAGES),
)  # fmt: skip
def test_any_document_is_taken_or_refused_in_a_sentence(document, kind):
    check(refusal(document, kind))


@pytest.mark.parametrize(
    ("kind", "document", "sentence"),
    [
        (
            websocket.AnyRequest,
            {"action": "sing"},
            "action: must be one of start, audio, set, stop, watch, ping (got 'sing')",
        ),
        (websocket.AnyRequest, {}, "action: is required"),
        (
            websocket.Start,
            {"action": "start", "mode": "x"},
            "mode: must be one of bypass, cancel, predict (got 'x')",
        ),
        (websocket.Start, {"action": "start", "taps": 9000}, "taps: must be at most 4096 (got 9000)"),
        (websocket.Start, {"action": "start", "mu": 0}, "mu: must be greater than 0 (got 0)"),
        (websocket.Start, {"action": "start", "rate": "fast"}, "rate: must be an integer (got a string)"),
        (websocket.Start, {"action": "start", "volume": 1}, "volume: unknown field"),
        (shadow.Desired, {"firmware": {}}, "firmware.version: is required"),
        (shadow.Desired, {"reason": "x" * 201}, "reason: must have at most 200 characters"),
        (path.MeasuredPath, {"secondary": [0.5, "x"]}, "secondary.1: must be a number (got a string)"),
    ],
)
def test_the_sentence_names_the_field_and_what_is_allowed(kind, document, sentence):
    assert refusal(document, kind) == sentence


@pytest.mark.parametrize(
    ("body", "document", "sentence"),
    [
        (requests.NewKey, {"name": "n", "days": 400}, "days: must be at most 365 (got 400)"),
        (requests.NewKey, {"name": "n", "role": "king"},
         "role: must be one of listener, operator, admin (got 'king')"),
        (requests.NewKey, {"name": ""}, "name: must have at least 1 character"),
        (requests.NewSerials, {"serials": ["a b"]},
         "serials.0: must be 1 to 64 letters, digits, hyphens or underscores"),
        (requests.NewUpload, {"size": 1, "options": 3}, "options: must be an object"),
    ],
)  # fmt: skip
def test_a_body_is_refused_in_the_same_words(body, document, sentence):
    with pytest.raises(ValidationError) as fault:
        body.model_validate(document)

    assert [pydantic_sentence(each, each["loc"]) for each in fault.value.errors()] == [sentence]


def test_scopes_are_listed():
    with pytest.raises(ValidationError) as fault:
        requests.NewKey.model_validate({"name": "n", "scopes": ["users"]})

    (error,) = fault.value.errors()
    assert pydantic_sentence(error, error["loc"]).startswith("scopes.0: must be one of sessions, audio, ")


def setting_fault(name: str, text: str) -> str:
    try:
        Settings.from_env({name: text})
    except BadSetting as fault:
        return str(fault)
    return ""


@pytest.mark.parametrize("name", [field.encode_name for field in msgspec.structs.fields(Settings)])
@pytest.mark.parametrize("text", ["x", "-1", "1e30", "ftp://x", "a b", "0.5"])
def test_every_refusal_of_a_setting_is_a_sentence(name, text):
    fault = setting_fault(name, text)

    assert not fault or fault.startswith(f"{name}={text}: must be ")
    check(fault)
