"""The OpenAPI document of the REST API, generated from the code, and Swagger UI to show it.

`python -m functions.rest_api > docs/openapi.json` updates the document in the repository.
"""

import base64
import hashlib
import inspect
import json
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aws_lambda_powertools
from aws_lambda_powertools.event_handler import Response

from anc import __version__
from anc.audio.formats import FORMATS, SUPPORTED
from anc.audio.reader import MAX_CHANNELS, SHORT_S
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.schemas.problem import KIND
from anc.schemas.rest.responses import Problem
from anc.services.sound.file_detection import MIN_SOUND_S
from functions.rest_api.resolver import Resolver
from functions.routes import REST, SOUND_BYTES
from functions.security_headers import CONTENT_SECURITY_POLICY

TITLE = "ANC Platform"
SUMMARY = "Backend for noise-cancelling headsets."
SOUND_KINDS = (*(each.media_types[0] for each in FORMATS), "application/octet-stream")
SOUND_PATHS = {route.path for route in REST if route.body_bytes == SOUND_BYTES}
# Paths that create a resource: the field of the response that is its id, and other paths that take it.
CREATES = {
    "/api/users": ("user",),
    "/api/users/me/keys": ("id",),
    "/api/sessions": ("session",),
    "/api/devices": ("thing",),
    "/api/audio/uploads": ("job", "/api/audio/jobs"),
    "/api/rollouts": ("id",),
}
EXPOSITION = {"text/plain": {"schema": {"type": "string"}}}
CSV = {"text/csv": {"schema": {"type": "string"}, "example": "thing,owner,model\r\nAX2-000417,ada,AX2\r\n"}}
SWAGGER = Path(aws_lambda_powertools.__file__).parent / "event_handler" / "openapi" / "swagger_ui"


START = (
    'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, filter: true, '
    "showExtensions: true})"
)


def serve(app: Resolver) -> None:
    """Add the endpoints /openapi.json and /docs to the API."""

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[str]:
        # At API Gateway's own domain name, paths start with the name of the stage.
        base = app.current_event.raw_event["requestContext"]["path"].removesuffix("/openapi.json")
        return Response(HTTPStatus.OK, "application/json", _text(app, base or "/"))

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response[str]:
        page, policy = _page()
        return Response(HTTPStatus.OK, "text/html", page, {CONTENT_SECURITY_POLICY: policy})


@cache
def _page() -> tuple[str, str]:
    """Return Swagger UI as one page without external resources, and its Content-Security-Policy."""
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

    Powertools describes the endpoints; this adds roles and rate limits from the table of routes, and the
    problem documents of refusals.
    """
    # Slower than all of this function's own modules, and seldom needed
    from aws_lambda_powertools.event_handler.openapi.models import APIKey, HTTPBearer  # noqa: PLC0415

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
            continue  # /openapi.json and /docs
        function = endpoints[route.method, route.path].func
        operation["operationId"] = function.__name__
        operation["summary"], _, more = (inspect.getdoc(function) or "").partition("\n\n")
        if more:
            operation["description"] = more
        operation["security"] = [] if route.public else [{"bearer": []}, {"key": []}]
        operation["x-role"] = route.role
        operation["x-requests-per-minute"] = route.per_minute
        _add_refusals(operation["responses"])
        if route.path in SOUND_PATHS:
            operation["requestBody"] = _sound_body()
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    paths["/metrics"]["get"]["responses"]["200"]["content"] = EXPOSITION
    paths["/api/fleet/csv"]["get"]["responses"]["200"]["content"] = CSV
    health = paths["/health"]["get"]["responses"]
    health["503"] = {**health["200"], "description": "Not ready."}
    described["paths"] = paths
    for path, (field, *places) in CREATES.items():
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
    responses["4XX"] = {"description": "Refused; see `code` and `detail`.", "content": refusal}
    responses["429"] = {
        "description": "Too many requests. Retry after the number of seconds in the header, if present.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}}},
        "content": refusal,
    }
    responses["5XX"] = {"description": "Internal error, or not ready.", "content": refusal}


def _sound_body() -> dict[str, Any]:
    sound = {"schema": {"type": "string", "format": "binary", "maxLength": SOUND_BYTES}}
    return {
        "required": True,
        "description": (
            f"A sound file of up to {SHORT_S:g} seconds: {SUPPORTED}. {MIN_RATE:,} to {MAX_RATE:,} Hz, 1 to "
            f"{MAX_CHANNELS} channels; floating-point samples from -1 to 1. Classification needs at least "
            f"{MIN_SOUND_S} seconds."
        ),
        "content": dict.fromkeys(SOUND_KINDS, sound),
    }
