"""WebSocket routes other than `$connect` and `$disconnect`: one request frame, one response frame."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.aws.events import caller_of, connection_of, received_at
from anc.ports import Dependencies, StorageUnavailable
from anc.schemas.refusal import Refused
from anc.schemas.websocket import Error, encode
from anc.services import socket_requests

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> dict[str, Any]:
    """Return the response frame of a request frame; a refusal is an `error` frame."""
    deps = deps or aws_dependencies()
    try:
        answer = socket_requests.handle_request(
            event.get("body"), caller_of(event), connection_of(event), deps, received_at(event)
        )
    except Refused as refusal:
        deps.count(f"refused_{refusal.code}")
        return {"statusCode": 200, "body": encode(Error.of(refusal))}
    except StorageUnavailable as fault:
        logger.error("nothing can be stored", fault=str(fault))
        return {"statusCode": 200, "body": encode(Error.of(fault.refusal()))}
    return {"statusCode": 200, "body": encode(answer)}
