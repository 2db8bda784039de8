"""The REST API: admit a request, route it, and return refusals as problem documents (RFC 9457)."""

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

from anc.aws.dependencies import aws_dependencies
from anc.aws.events import problem_response
from anc.ports import Dependencies, StorageUnavailable
from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused, refuse
from anc.validation_messages import pydantic_sentence
from functions import query_parameters, request_body
from functions.admission import admit
from functions.rest_api import (
    audio,
    audit,
    bulk,
    devices,
    emergencies,
    fleet,
    openapi,
    platform,
    recordings,
    request_context,
    rollouts,
    sessions,
    stats,
    users,
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
FAMILIES = (
    platform,
    users,
    sessions,
    audio,
    recordings,
    emergencies,
    devices,
    bulk,
    fleet,
    rollouts,
    audit,
    stats,
)
for family in FAMILIES:
    app.include_router(family.router)
openapi.serve(app)

MAX_NAMED_FAULTS = 3
MAX_SHOWN_PATH = 200  # characters of an unknown path
METHODS_WITH_BODY = ("POST", "PUT", "PATCH")


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> dict[str, Any]:
    """Return the response to a request that API Gateway authorized."""
    here = deps or aws_dependencies()
    begun = time.perf_counter()
    with request_context.handling(event, here):
        try:
            admit(event, here)
            event = with_checked_kind(event)
            if event["resource"].startswith("/api/"):  # monitors may add parameters to /health against caches
                query_parameters.check(event, known_parameters(event["httpMethod"], event["resource"]))
            answer = app.resolve(event, context)
        except Refused as refusal:
            here.count(f"refused_{refusal.code}")
            answer = problem_response(refusal)
        except StorageUnavailable as fault:  # before the endpoint is called
            logger.error("a request cannot be admitted", fault=str(fault))
            answer = problem_response(fault.refusal())
    if answer["statusCode"] == 204:
        answer |= {"body": "", "multiValueHeaders": {}}
    here.measure("rest", time.perf_counter() - begun)
    return with_security_headers(answer)


def with_checked_kind(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event, without its content type where the body is JSON.

    Powertools takes a body without a content type for JSON, and fails at spellings of the type that are
    allowed, such as `Application/JSON`.

    Raises
    ------
    Refused
        `bad_content_type`, when the body must be JSON and its content type is another.
    """
    if event["httpMethod"] not in METHODS_WITH_BODY or event["resource"] in openapi.SOUND_PATHS:
        return event
    headers = event.get("headers") or {}
    for kind in request_body.kinds(headers):
        if kind not in ("", "application/json"):
            refuse("bad_content_type", f"content-type: must be application/json (got {kind[:100]})")
    return event | {"headers": {name: headers[name] for name in headers if name.lower() != "content-type"}}


@cache
def known_parameters(method: str, path: str) -> frozenset[str]:
    """Return the query parameters of an endpoint."""
    return frozenset(each.alias for each in app.endpoints()[method, path].dependant.query_params)


@app.exception_handler(Refused)
def problem(refusal: Refused) -> Response[str]:
    """Return a refusal as a problem document."""
    request_context.dependencies().count(f"refused_{refusal.code}")
    document = Problem.of(refusal)
    wait = {"Retry-After": str(refusal.wait_s)} if refusal.wait_s else {}
    return Response(document.status, KIND, document.encode(), wait)


@app.exception_handler(RequestValidationError)
def invalid_fields(fault: RequestValidationError) -> Response[str]:
    """Return a problem that names the invalid fields and what is allowed."""
    sentences = [pydantic_sentence(error, error["loc"][1:]) for error in fault.errors()[:MAX_NAMED_FAULTS]]
    return problem(Refused("bad_field", "; ".join(sentences)))


@app.exception_handler([binascii.Error, UnicodeDecodeError])
def not_utf8(fault: Exception) -> Response[str]:
    """Return a problem for a body that is not UTF-8."""
    return problem(Refused("bad_json", "body: not a JSON document in UTF-8"))


@app.exception_handler(NotFoundError)
def not_found(_: NotFoundError) -> Response[str]:
    """Return a problem for a path without an endpoint."""
    return problem(Refused("not_found", f"path: no endpoint at {app.current_event.path[:MAX_SHOWN_PATH]}"))


@app.exception_handler(StorageUnavailable)
def no_storage(fault: StorageUnavailable) -> Response[str]:
    """Return a problem for a request that cannot be stored."""
    logger.error("nothing can be stored", fault=str(fault))
    return problem(fault.refusal())


@app.exception_handler(Exception)
def internal_error(fault: Exception) -> Response[str]:
    """Return a problem without details; they are logged."""
    logger.exception("a request failed")
    return problem(Refused("failed", "internal error; see the platform's log"))
