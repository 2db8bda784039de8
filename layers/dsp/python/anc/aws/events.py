"""What API Gateway's events say of the caller; the shapes are AWS's, and the single-machine edition's too."""

from typing import Any

from anc.services.identity import Caller


def caller_of(event: dict[str, Any]) -> Caller:
    """Return who the authorizer let in."""
    authorizer = event["requestContext"]["authorizer"]
    return Caller(authorizer["user"], authorizer["role"])


def connection_of(event: dict[str, Any]) -> str:
    """Return the id of the WebSocket that the event came over."""
    return str(event["requestContext"]["connectionId"])
