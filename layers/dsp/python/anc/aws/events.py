"""Read events of API Gateway and build its responses. The single-machine platform uses the same events."""

from http import HTTPStatus
from typing import Any

from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused
from anc.services.access.identity import Caller


def caller_of(event: dict[str, Any]) -> Caller:
    """Return the caller as authorized at the time of the request; see `identity.current`."""
    authorizer = event["requestContext"]["authorizer"]
    scopes = tuple(authorizer.get("scopes", "").split())
    since = float(authorizer.get("since") or 0.0)
    return Caller(authorizer["user"], authorizer["role"], authorizer.get("key", ""), scopes, since)


def connection_of(event: dict[str, Any]) -> str:
    """Return the id of the WebSocket connection."""
    return str(event["requestContext"]["connectionId"])


def received_at(event: dict[str, Any]) -> float:
    """Return when API Gateway received the request, in seconds since the epoch."""
    return float(event["requestContext"]["requestTimeEpoch"]) / 1000


def problem_response(refusal: Refused) -> dict[str, Any]:
    """Return the HTTP response for a refusal, in API Gateway's format."""
    problem = Problem.of(refusal)
    headers = {"Retry-After": [str(refusal.wait_s)]} if refusal.wait_s else {}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = ["Bearer"]
    return {
        "statusCode": problem.status,
        "multiValueHeaders": {"Content-Type": [KIND], **headers},
        "body": problem.encode(),
        "isBase64Encoded": False,
    }
