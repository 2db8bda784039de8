"""Events of API Gateway, as documented: REST proxy, authorizer and WebSocket."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from local.lambda_context import request_id

ACCOUNT = "000000000000"
STAGE = "local"


def method_arn(method: str, path: str) -> str:
    """Return the ARN of a method, as passed to authorizers."""
    return f"arn:aws:execute-api:local:{ACCOUNT}:local/{STAGE}/{method}{path}"


def authorizer_event(method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the event of a REQUEST authorizer of the REST API."""
    return {
        "type": "REQUEST",
        "methodArn": method_arn(method, path),
        "headers": dict(headers),
        "requestContext": {"httpMethod": method, "path": path, "stage": STAGE, "apiId": "local"},
    }


def handshake_event(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the event of a REQUEST authorizer of the WebSocket API; only `$connect` has one."""
    context = {"routeKey": "$connect", "eventType": "CONNECT", "stage": STAGE, "apiId": "local"}
    return {
        "type": "REQUEST",
        "methodArn": method_arn("", "$connect"),
        "headers": dict(headers),
        "requestContext": context,
    }


def rest_event(
    method: str,
    resource: str,
    path: str,
    parameters: Mapping[str, str],
    query: Mapping[str, str | Sequence[str]],
    headers: Mapping[str, str],
    body: str | None,
    is_base64: bool,
    authorizer: Mapping[str, str],
    source_ip: str,
) -> dict[str, Any]:
    """Return the event of a REST API with Lambda proxy integration (payload version 1.0).

    A value of `query` is a text, or all texts of a repeated parameter.
    """
    values = {name: [given] if isinstance(given, str) else [*given] for name, given in query.items()}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: given[-1] for name, given in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "pathParameters": dict(parameters) or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "authorizer": dict(authorizer),
            "httpMethod": method,
            "identity": {"sourceIp": source_ip, "userAgent": headers.get("user-agent", "")},
            "path": path,  # without the stage, as with a custom domain
            "protocol": "HTTP/1.1",
            "requestId": request_id(),
            "requestTimeEpoch": int(time.time() * 1000),
            "resourceId": "local",
            "resourcePath": resource,
            "stage": STAGE,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def socket_event(
    kind: str,
    route: str,
    connection: str,
    connected_at: float,
    authorizer: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    received: float | None = None,
) -> dict[str, Any]:
    """Return the event of a WebSocket API.

    Parameters
    ----------
    kind : str
        CONNECT, MESSAGE or DISCONNECT.
    connected_at, received : float
        Times of the connect and of the receipt of the frame (default: now), in seconds since the
        epoch.
    """
    event: dict[str, Any] = {
        "requestContext": {
            "routeKey": route,
            "eventType": kind,
            "messageDirection": "IN",
            "connectionId": connection,
            "connectedAt": int(connected_at * 1000),
            "requestId": request_id(),
            "requestTimeEpoch": int(1000 * (received or time.time())),
            "stage": STAGE,
            "apiId": "local",
            "domainName": "localhost",
            "authorizer": dict(authorizer),
        },
        "isBase64Encoded": False,
    }
    if headers is not None:
        event["headers"] = dict(headers)
        event["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    if kind == "MESSAGE":
        event["requestContext"]["messageId"] = request_id()
        event["body"] = body
    return event
