"""The client's types are those of the OpenAPI document, and they cross to JSON and back."""

import importlib.util
import json
import math
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from anc.schemas.rest import requests
from anc_client import NewDevice, NewKey, NewUpload, ProcessingOptions, ShadowChange, schemas
from anc_client.codec import decode, encode

CLIENT = Path(__file__).parents[3] / "anc_client"
SUMMARY = {"blocks": 3, "seconds": 1, "gaps": 0, "attenuation_db": None}
# Each request of the API that has an example, and the example.
EXAMPLES = [
    (model, example)
    for model in vars(requests).values()
    if isinstance(model, type) and issubclass(model, requests.Body)
    for example in model.model_json_schema().get("examples", [])
]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", CLIENT / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_types_match_the_openapi_document(generator: ModuleType) -> None:
    assert generator.schemas(generator.OPENAPI.read_text()) == generator.SCHEMAS.read_text(), "make client"


@pytest.mark.parametrize(("model", "example"), EXAMPLES, ids=lambda each: getattr(each, "__name__", ""))
def test_the_platform_accepts_encoded_requests(model: type[requests.Body], example: dict[str, Any]) -> None:
    kind = vars(schemas)[model.__name__]
    assert is_dataclass(kind)
    sent = encode(decode(kind, example))
    assert model.model_validate_json(sent) == model.model_validate(example)


def test_unset_fields_are_not_sent() -> None:
    assert json.loads(encode(ShadowChange(intensity=0.5))) == {"intensity": 0.5}
    upload = json.loads(encode(NewUpload(size=1, options=ProcessingOptions(mode="cancel"))))
    assert "mu" not in upload["options"]
    assert json.loads(encode(NewKey(name="robot")))["scopes"] == [], "empty is not left out"


@pytest.mark.parametrize("sample", [math.nan, math.inf])
def test_non_finite_numbers_are_rejected(sample: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(NewDevice(thing="left", secondary=[0.0, sample]))


def test_unknown_fields_in_responses_are_ignored() -> None:
    decoded = decode(schemas.SessionSummary, {**SUMMARY, "loudness": 3})
    assert decoded == schemas.SessionSummary(blocks=3, seconds=1.0, gaps=0, attenuation_db=None)
    assert isinstance(decoded.seconds, float)


def test_nested_objects_are_decoded_as_dataclasses() -> None:
    durations = {"count": 1, "mean_ms": 1.5, "p50_ms": 1, "p90_ms": None, "p99_ms": None}
    decoded = decode(schemas.Performance, dict.fromkeys(("block", "snapshot", "rest"), durations))
    assert decoded.block.p50_ms == 1.0
    models = {"models": [{"name": "m", "sha256": "", "labels": ["rain"], "kinds": [], "threshold": 0.5}]}
    assert decode(schemas.Models, models).models[0].labels == ["rain"]


@pytest.mark.parametrize(
    "answer", [{"blocks": 3}, [], "no", None, {**SUMMARY, "seconds": {}}, {**SUMMARY, "seconds": "long"}]
)
def test_an_unexpected_response_raises_value_error(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"response|float"):
        decode(schemas.SessionSummary, answer)
