"""The OpenAPI document of the REST API, made from its code, and Swagger UI to read it with.

`python -m functions.rest_api > docs/openapi.json` writes it down.
"""

import base64
import hashlib
import inspect
import json
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi import swagger_ui
from aws_lambda_powertools.event_handler.openapi.models import APIKey, HTTPBearer

from anc import __version__
from anc.audio.formats import FORMATS, SUPPORTED
from anc.audio.reader import MAX_CHANNELS, SHORT_S
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.schemas.problem import KIND
from anc.schemas.rest.responses import Problem
from anc.services.sound.detection import MIN_SOUND_S
from functions.rest_api.resolver import Resolver
from functions.routes import REST, SOUND_BYTES
from functions.security_headers import CONTENT_SECURITY_POLICY

TITLE = "ANC Platform"
SUMMARY = "The backend for noise-cancelling headsets: the headset cancels, the cloud thinks."
SOUND_KINDS = (*(each.media_types[0] for each in FORMATS), "application/octet-stream")
TAKES_SOUND = {"/api/audio/process", "/api/audio/classify", "/api/audio/analyze", "/api/emergency/detect"}
# Where things are made, the field of the answer that names them, and where else they are found.
MADE = {
    "/api/users": ("user",),
    "/api/users/me/keys": ("id",),
    "/api/sessions": ("session",),
    "/api/devices": ("thing",),
    "/api/audio/uploads": ("job", "/api/audio/jobs"),
}
EXPOSITION = {"text/plain": {"schema": {"type": "string"}}}
SWAGGER = Path(swagger_ui.__file__).parent


START = (
    'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, filter: true, '
    "showExtensions: true})"
)


def serve(app: Resolver) -> None:
    """Add the document and the page that shows it to the API."""

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[str]:
        # Behind API Gateway's own address the API lies below the stage's name.
        base = app.current_event.raw_event["requestContext"]["path"].removesuffix("/openapi.json")
        return Response(HTTPStatus.OK, "application/json", _text(app, base or "/"))

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response[str]:
        page, policy = _page()
        return Response(HTTPStatus.OK, "text/html", page, {CONTENT_SECURITY_POLICY: policy})


@cache
def _page() -> tuple[str, str]:
    """Return Swagger UI whole, since nothing may come from elsewhere, and the policy that sees to it."""
    scripts = [(SWAGGER / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"), START]
    style = (SWAGGER / "swagger-ui.min.css").read_text(encoding="utf-8")
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{TITLE}: REST API</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f'<style>{style}</style><main id="swagger-ui"></main>'
        + "".join(f"<script>{script}</script>" for script in scripts)
    )
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


@lru_cache(maxsize=4)
def _text(app: Resolver, base: str) -> str:
    return json.dumps({**document(app), "servers": [{"url": base}]}, indent=1)


def document(app: Resolver) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document.

    To what Powertools knows of the endpoints it adds what the table of routes and the handler know: who may
    call, how often, and that every refusal is a problem document.
    """
    described: dict[str, Any] = json.loads(
        app.get_openapi_json_schema(
            title=TITLE,
            version=__version__,
            summary=SUMMARY,
            openapi_version="3.1.0",
            security_schemes={
                "bearer": HTTPBearer(description="A token, or an API key."),
                "key": APIKey.model_validate(
                    {"name": "X-Api-Key", "in": "header", "description": "An API key."}
                ),
            },
        )
    )
    endpoints = app.endpoints()
    paths: dict[str, dict[str, Any]] = {}
    for route in REST:
        operation = described["paths"].get(route.path, {}).get(route.method.lower())
        if operation is None:
            continue  # the document and the page that shows it
        function = endpoints[route.method, route.path].func
        operation["operationId"] = function.__name__
        operation["summary"], _, more = (inspect.getdoc(function) or "").partition("\n\n")
        if more:
            operation["description"] = more
        operation["security"] = [] if route.public else [{"bearer": []}, {"key": []}]
        operation["x-role"] = route.role
        operation["x-requests-per-minute"] = route.per_minute
        _add_refusals(operation["responses"])
        if route.path in TAKES_SOUND:
            operation["requestBody"] = _sound_body()
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    paths["/metrics"]["get"]["responses"]["200"]["content"] = EXPOSITION
    health = paths["/health"]["get"]["responses"]
    health["503"] = {**health["200"], "description": "Not ready."}
    described["paths"] = paths
    for path, (field, *places) in MADE.items():
        paths[path]["post"]["responses"]["201"]["links"] = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {"id": f"$response.body#/{field}"},
            }
            for below, item in paths.items()
            if below.startswith(tuple(f"{place}/{{id}}" for place in (path, *places)))
            for operation in item.values()
        }
    schemas = described["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    return described


def _add_refusals(responses: dict[str, Any]) -> None:
    responses.pop("422", None)
    if "204" in responses:
        del responses["204"]["content"]
    refusal = {KIND: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses["4XX"] = {"description": "Refused: `code` and `detail` say why.", "content": refusal}
    responses["429"] = {
        "description": "Too many: come again after as many seconds as the header says, if it is there.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}}},
        "content": refusal,
    }
    responses["5XX"] = {"description": "The platform failed, or is not ready.", "content": refusal}


def _sound_body() -> dict[str, Any]:
    sound = {"schema": {"type": "string", "format": "binary", "maxLength": SOUND_BYTES}}
    return {
        "required": True,
        "description": (
            f"A sound file of up to {SHORT_S:g} seconds: {SUPPORTED}. {MIN_RATE:,} to {MAX_RATE:,} Hz, 1 to "
            f"{MAX_CHANNELS} channels; floating-point samples within -1 to 1. To be classified it lasts at "
            f"least {MIN_SOUND_S} seconds."
        ),
        "content": dict.fromkeys(SOUND_KINDS, sound),
    }
