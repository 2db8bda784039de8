"""What API Gateway's events say of the caller; the shapes are AWS's, and the single-machine edition's too."""

from typing import Any

from anc.schemas.problem import KIND, Problem
from anc.schemas.refusal import Refused
from anc.services.access.identity import Caller


def caller_of(event: dict[str, Any]) -> Caller:
    """Return who the authorizer let in, with what they might do then; see `identity.current`."""
    authorizer = event["requestContext"]["authorizer"]
    scopes = tuple(authorizer.get("scopes", "").split())
    since = float(authorizer.get("since") or 0.0)
    return Caller(authorizer["user"], authorizer["role"], authorizer.get("key", ""), scopes, since)


def connection_of(event: dict[str, Any]) -> str:
    """Return the id of the WebSocket that the event came over."""
    return str(event["requestContext"]["connectionId"])


def received_at(event: dict[str, Any]) -> float:
    """Return when API Gateway received what the event is about, in seconds since the epoch."""
    return float(event["requestContext"]["requestTimeEpoch"]) / 1000


def refused(refusal: Refused) -> dict[str, Any]:
    """Return a refusal as API Gateway passes it on."""
    problem = Problem.of(refusal)
    added = {"Retry-After": [str(refusal.wait_s)]} if refusal.wait_s else {}
    if refusal.code == "unauthorized":
        added["WWW-Authenticate"] = ["Bearer"]
    return {
        "statusCode": problem.status,
        "multiValueHeaders": {"Content-Type": [KIND], **added},
        "body": problem.encode(),
        "isBase64Encoded": False,
    }
