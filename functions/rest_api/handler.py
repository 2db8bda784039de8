"""The REST API: who may call what is decided here; services do it; a refusal is a problem document."""

import binascii
import time
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies as aws_world
from anc.aws.events import refused
from anc.ports import Dependencies
from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused, refuse
from functions import query_parameters, request_body
from functions.admission import admit
from functions.rest_api import (
    audio,
    audit,
    devices,
    emergencies,
    openapi,
    people,
    platform,
    recordings,
    request_context,
    sessions,
    stats,
)
from functions.rest_api.resolver import Resolver
from functions.security_headers import with_security_headers

logger = Logger()
metrics = Metrics()
app = Resolver(
    enable_validation=True,
    debug=False,
    serializer=lambda answer: msgspec.json.encode(answer).decode(),
    json_body_deserializer=request_context.parse_body,
)
for family in (platform, people, sessions, audio, recordings, emergencies, devices, audit, stats):
    app.include_router(family.router)
openapi.serve(app)

NAMED_FAULTS = 3
WRITING = ("POST", "PUT", "PATCH")


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> dict[str, Any]:
    """Answer a request that API Gateway let through."""
    here = deps or aws_world()
    begun = time.perf_counter()
    with request_context.answering(event, here):
        try:
            admit(event, here)
            check_kind(event)
            if event["resource"].startswith("/api/"):  # who asks for the health may add what no cache knows
                query_parameters.check(event, known_parameters(event["httpMethod"], event["resource"]))
            answer = app.resolve(event, context)
        except Refused as refusal:
            here.count(f"refused_{refusal.code}")
            answer = refused(refusal)
    if answer["statusCode"] == 204:
        answer |= {"body": "", "multiValueHeaders": {}}
    here.counters.time("rest", time.perf_counter() - begun)
    return with_security_headers(answer)


def check_kind(event: dict[str, Any]) -> None:
    """Raise Refused, `bad_content_type`, for a body that claims to be no JSON where one is needed."""
    if event["httpMethod"] in WRITING and event["resource"] not in openapi.TAKES_SOUND:
        kind = request_body.kind(event)
        if kind not in ("", "application/json"):
            refuse("bad_content_type", f"content-type: {kind[:100]}, allowed is application/json")


@cache
def known_parameters(method: str, path: str) -> frozenset[str]:
    """Return what an endpoint takes in its query."""
    return frozenset(each.alias for each in app.endpoints()[method, path].dependant.query_params)


@app.exception_handler(Refused)
def problem(refusal: Refused) -> Response[str]:
    """Say no as RFC 9457 has it."""
    request_context.dependencies().count(f"refused_{refusal.code}")
    document = Problem.of(refusal)
    wait = {"Retry-After": str(refusal.wait_s)} if refusal.wait_s else {}
    return Response(document.status, KIND, document.encode(), wait)


@app.exception_handler(RequestValidationError)
def invalid(fault: RequestValidationError) -> Response[str]:
    """Name the fields that cannot be as they are, and what is allowed."""
    return problem(Refused("bad_field", "; ".join(_sentence(each) for each in fault.errors()[:NAMED_FAULTS])))


@app.exception_handler([binascii.Error, UnicodeDecodeError])
def garbled(fault: Exception) -> Response[str]:
    """Say that the body is no text."""
    return problem(Refused("bad_json", "body: not a JSON document in UTF-8"))


@app.exception_handler(NotFoundError)
def nowhere(_: NotFoundError) -> Response[str]:
    """Say that there is nothing at this path."""
    return problem(Refused("not_found", f"path: there is nothing at {app.current_event.path}"))


@app.exception_handler(Exception)
def failed(fault: Exception) -> Response[str]:
    """Say that it is not the request's fault, and no more."""
    logger.exception("a request failed")
    return problem(Refused("failed", "the platform failed; what happened is in its log"))


def _sentence(fault: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown field"
    said = str(fault["msg"])
    return f"{where}: {said[0].lower()}{said[1:]}"
