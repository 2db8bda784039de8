"""The API documents in `docs` are up to date, valid and complete."""

import json
import typing
from pathlib import Path

import msgspec
import pytest
from pydantic import BaseModel

from anc.records import Alarm, Options
from anc.schemas import shadow, telemetry
from anc.schemas.rest import audio_responses, requests
from anc.schemas.websocket import Start
from anc.services import emergencies
from anc.services.headsets.device_models import ModelDescription
from anc.services.headsets.devices import Registration
from anc.services.sound.report import RecordingReport
from functions.rest_api.handler import app, handler
from functions.rest_api.openapi import CREATES, document
from functions.routes import REST
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.fakes import FakePlatform

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {"/openapi.json", "/docs"}
OF_SOMETHING = {"/api/auth/token"}  # takes what another endpoint creates
OF_A_PERSON = {"/api/users/me/second-factor"}  # takes the password of the caller, who has none here


def test_the_openapi_document_in_the_docs_is_up_to_date() -> None:
    written = json.loads((DOCS / "openapi.json").read_text())
    assert written == document(app), "python -m functions.rest_api > docs/openapi.json"


def test_every_endpoint_documents_its_responses_and_role() -> None:
    described = document(app)
    assert described["openapi"].startswith("3.1")
    operations = {
        (method.upper(), path): operation
        for path, item in described["paths"].items()
        for method, operation in item.items()
    }
    assert set(operations) == {(route.method, route.path) for route in REST if route.path not in PAGES}
    for route in REST:
        if route.path in PAGES:
            continue
        operation = operations[route.method, route.path]
        assert operation["summary"].endswith(".")
        assert operation["x-role"] == route.role
        assert bool(operation["security"]) != route.public
        assert {"4XX", "429", "5XX"} < set(operation["responses"])


def test_the_served_document_contains_the_stage_in_its_server_url(platform: FakePlatform) -> None:
    event = rest_event("GET", "/openapi.json", "/openapi.json", {}, {}, {}, None, False, {}, "127.0.0.1")
    for path, base in (("/dev/openapi.json", "/dev"), ("/openapi.json", "/")):
        event["requestContext"]["path"] = path
        answer = handler(event, LocalContext("rest_api"), platform.deps)
        assert json.loads(answer["body"])["servers"] == [{"url": base}]


def test_the_example_of_every_body_is_accepted(
    call: typing.Callable[..., typing.Any], platform: FakePlatform
) -> None:
    described = document(app)
    emergencies.publish("alice", "left", Alarm("siren", 0.9, platform.clock.now), platform.deps)
    (emergency,) = platform.deps.emergencies.list("alice")
    made = {"/api/device-models": "quiet-one", "/api/emergency/events": emergency.key}
    # Create resources before changing them, and users before they sign in.
    order = sorted(described["paths"], key=lambda path: (path in OF_SOMETHING, "{id}" in path))
    for path in order:
        for method, operation in described["paths"][path].items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" not in content:
                continue
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            (example,) = described["components"]["schemas"][name]["examples"]
            at = path.replace("{id}", made.get(path.partition("/{id}")[0], ""))
            status, answer, _ = call(method.upper(), at, example, role="admin")
            if path in OF_A_PERSON:
                assert answer["code"] == "unknown_user", f"{method} {path}: {answer}"
                continue
            assert status in {200, 201}, f"{method} {path}: {answer}"
            if path in CREATES:
                made[path] = answer[CREATES[path][0]]


def limits(schema: dict[str, typing.Any]) -> typing.Any:
    """Return the constraints of a field's schema, without the alternative null."""
    kinds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "enum")
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    found = {name: options[0][name] for name in kinds if options[0].get(name) is not None}
    return {**found, "enum": sorted(v for v in found["enum"] if v is not None)} if "enum" in found else found


@pytest.mark.parametrize(
    ("model", "struct", "apart"),
    [
        (requests.NewSession, Start, {"action"}),
        (requests.ProcessingOptions, Options, set()),
        (requests.NewTelemetryReport, telemetry.TelemetryReport, {"run", "line"}),
        (requests.NewDevice, Registration, set()),
        (requests.NewDeviceModel, ModelDescription, set()),
        (requests.HeadsetConfig, shadow.Configuration, set()),
        (requests.NewFirmware, shadow.Firmware, set()),
    ],
)
def test_rest_requests_have_the_fields_and_limits_of_the_services(
    model: type[BaseModel], struct: type[msgspec.Struct], apart: set[str]
) -> None:
    _, defined = msgspec.json.schema_components([struct])
    inner = defined[struct.__name__]["properties"]
    outer = model.model_json_schema()["properties"]
    assert set(outer) == set(inner) - apart
    assert {name: limits(outer[name]) for name in outer} == {name: limits(inner[name]) for name in outer}


def test_rest_responses_contain_every_field_of_a_report() -> None:
    assert set(audio_responses.RecordingReport.model_fields) == set(RecordingReport.__struct_fields__)
